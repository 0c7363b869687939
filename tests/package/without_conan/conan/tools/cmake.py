import subprocess


class CMakeToolchain:
    def __init__(self, recipe):
        self.recipe = recipe
        self.cache_variables = {}

    def generate(self):
        self.recipe.cache_variables = self.cache_variables


class CMake:
    def __init__(self, recipe):
        self.recipe = recipe

    def configure(self):
        options = ["-D%s=%s" % item for item in self.recipe.cache_variables.items()]
        subprocess.run(["cmake", "-S", self.recipe.export_sources_folder, "-B",
                        self.recipe.build_folder] + options, check=True)

    def install(self):
        subprocess.run(["cmake", "--install", self.recipe.build_folder, "--prefix",
                        self.recipe.package_folder], check=True)
