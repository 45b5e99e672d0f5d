"""Build fastflow's compiled modules. Metadata is in pyproject.toml.

FASTFLOW_DEBUG=1 -O0 + assertions; FASTFLOW_SANITIZE=1 ASan+UBSan;
FASTFLOW_ANNOTATE=1 Cython's HTML.
"""

import hashlib
import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

MODULES = sorted(path.stem for path in Path("native/fastflow").glob("_*.pyx"))


def env_flag(name: str) -> bool:
    """Read a boolean environment variable."""
    return os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


def native_sources() -> list[str]:
    """List every hand-written file of native/, in one fixed order."""
    files = Path("native").rglob("*")
    return sorted(p.as_posix() for p in files if p.suffix in {".h", ".pyx", ".pxd"})


def source_hash() -> str:
    """Hash native/, so that a stale binary can be told from a fresh one."""
    digest = hashlib.sha256()
    for path in native_sources():
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]


sanitize = env_flag("FASTFLOW_SANITIZE")
debug = sanitize or env_flag("FASTFLOW_DEBUG")
cflags = ["-std=c11", "-Wall", "-Wextra"]
ldflags = ["-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack"]
if sanitize:
    cflags += ["-O1", "-g", "-UNDEBUG", "-fno-omit-frame-pointer"]
    cflags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    ldflags += ["-fsanitize=address,undefined"]
elif debug:
    cflags += ["-O0", "-g", "-UNDEBUG"]
else:
    cflags += ["-O3", "-g1", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"]

extensions = [
    Extension(
        f"fastflow.{module}",
        sources=[f"native/fastflow/{module}.pyx"],
        include_dirs=["native/include"],
        depends=native_sources(),
        define_macros=[("FF_SOURCE_HASH", f'"{source_hash()}"')],
        libraries=["m"],  # log and sqrt of ff_series.h
        extra_compile_args=cflags,
        extra_link_args=ldflags,
    )
    for module in MODULES
]

setup(
    ext_modules=cythonize(
        extensions,
        include_path=["native"],
        build_dir="build/cython",
        annotate=env_flag("FASTFLOW_ANNOTATE"),
        compiler_directives={
            "language_level": "3",
            "auto_pickle": False,
            "autotestdict": False,
            "embedsignature": False,
            # Bounds stay checked: the hot loops are not in Cython.
            "show_performance_hints": False,
        },
    )
)
