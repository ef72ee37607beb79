"""Where the packages lie: the folders at the top are imported as ``lukasa.memory``, ``lukasa.tasks`` and so on."""

from setuptools import find_packages, setup

FOLDERS = ("agents", "benchmarks", "envs", "ground", "launch", "memory", "tasks")

setup(
    packages=[f"lukasa.{name}" for name in find_packages(include=[f"{folder}*" for folder in FOLDERS])],
    package_dir={f"lukasa.{folder}": folder for folder in FOLDERS},
    package_data={
        "": ["py.typed"],
        "lukasa.launch": ["*.yaml", "*.sh", "Dockerfile", "models/*.safetensors"],
        "lukasa.launch.campaigns.claims": ["*.jinja"],
        "lukasa.launch.comparing": ["page.html"],
        "lukasa.launch.views": ["page.*"],
    },
)
