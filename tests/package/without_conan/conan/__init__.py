"""As much of Conan 2 as tweedie's recipe uses, for machines without Conan: its calls run for real."""


class ConanFile:
    def __init__(self, recipe_folder, package_folder):
        self.recipe_folder = recipe_folder
        self.export_sources_folder = package_folder + "-sources"
        self.build_folder = package_folder + "-build"
        self.package_folder = package_folder
        self.required = []
        self.cpp_info = self.info = self
        self.cleared = False

    def requires(self, reference, **traits):
        self.required.append((reference, traits))

    def clear(self):
        self.cleared = True

    def set_property(self, name, value):
        assert name == "cmake_find_mode" and value == "none", (name, value)
