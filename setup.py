"""What pyproject.toml cannot say: a wheel holds ``configs/`` inside the package that finds it."""

from pathlib import Path
from shutil import copytree, ignore_patterns

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies ``configs/`` to ``foundation/configs/``, where `foundation.config_names` looks first."""

    def run(self) -> None:
        """Build as always; an editable install reads the sources, and copies nothing."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "foundation" / "configs"
            copytree("configs", target, dirs_exist_ok=True, ignore=ignore_patterns(".*"))


setup(cmdclass={"build_py": BuildWithConfigs})
