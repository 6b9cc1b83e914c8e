"""What pyproject.toml cannot say: a wheel has the folder configs/ as imbreg_jax/configs/."""

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildPy(build_py):
    """Finds the modules of `imbreg_jax.configs` in configs/, too."""

    def find_package_modules(self, package, package_dir):
        """The (package, module, file) of each module of a package."""
        modules = super().find_package_modules(package, package_dir)
        if package == 'imbreg_jax.configs':
            modules += super().find_package_modules(package, 'configs')
        return modules


setup(cmdclass={'build_py': BuildPy})
