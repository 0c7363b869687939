"""create.py <recipe> <package folder> <expected version>: what `conan create` calls, in its order."""
import importlib.util
import os
import sys

recipe_file, package_folder, version = sys.argv[1:]
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("recipe", recipe_file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
recipe = module.TweedieConan(os.path.dirname(os.path.abspath(recipe_file)), package_folder)

recipe.set_version()
assert recipe.version == version, recipe.version
recipe.export_sources()
recipe.requirements()
assert recipe.required == [("eigen/[>=3.4]", {"transitive_headers": True})], recipe.required
recipe.validate()
recipe.package_id()
assert recipe.cleared
recipe.generate()
recipe.build()
recipe.package()
recipe.package_info()
for folder in recipe.builddirs:
    path = os.path.join(package_folder, folder, "tweedieConfig.cmake")
    assert os.path.exists(path), path
