"""Checks of Python and of what pip installs."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import nitrogen_jax
from nitrogen_jax.doctor.check import Check, probe, version_of
from nitrogen_jax.extras import EXTRAS, install_command

PYTHON_RANGE = ((3, 11), (3, 14))  # from the first up to, not including, the second
BASE_MODULES = ("numpy", "gymnasium", "cv2", "msgpack", "zmq", "rich")
OPENCV_WHEELS = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """Is this Python one of those that we support?"""
    low, high = PYTHON_RANGE
    detail = f"{'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if low <= tuple(version) < high:
        return Check("python", "ok", detail)
    newest = f"python{high[0]}.{high[1] - 1}"
    wanted = f"{low[0]}.{low[1]} to {high[0]}.{high[1] - 1}"
    return Check("python", "fail", f"{detail}: needs {wanted}", f"{newest} -m venv .venv")


def check_package() -> Check:
    """Which nitrogen_jax is this, and from where?"""
    folder = Path(nitrogen_jax.__file__).parent
    version = nitrogen_jax.__version__
    installed = version_of("nitrogen_jax")
    if installed is None:
        # Then there is no `nitrogen` command and no metadata, yet everything else works.
        detail = f"{version} from {folder}, not installed"
        return Check("nitrogen_jax", "warn", detail, f"pip install -e {folder.parent}")
    if installed != version:
        detail = f"{version} from {folder}, but {installed} is installed"
        return Check("nitrogen_jax", "warn", detail, f"pip install -e {folder.parent}")
    return Check("nitrogen_jax", "ok", f"{version} from {folder}")


def check_base(modules: Iterable[str] = BASE_MODULES) -> Check:
    """Can the libraries of the game side be imported?"""
    code = (
        "import importlib, json\n"
        f"for name in {tuple(modules)!r}:\n"
        "    importlib.import_module(name)\n"
        "print(json.dumps({}))"
    )
    answer = probe(code)
    if "error" in answer:
        return Check(
            "base libraries", "fail", answer["error"], "pip install --force-reinstall nitrogen_jax"
        )
    return Check("base libraries", "ok", ", ".join(modules))


def check_opencv(version: Callable[[str], str | None] = version_of) -> Check:
    """Is there exactly one OpenCV wheel? Two overwrite each other's files."""
    found = [f"{name} {version(name)}" for name in OPENCV_WHEELS if version(name)]
    if not found:
        remedy = "pip install opencv-python-headless"
        return Check("opencv", "fail", "no OpenCV wheel is installed", remedy)
    if len(found) > 1:
        names = " ".join(entry.split()[0] for entry in found)
        remedy = f"pip uninstall -y {names} && pip install opencv-python-headless"
        return Check("opencv", "warn", f"{' and '.join(found)} overwrite each other", remedy)
    return Check("opencv", "ok", found[0])


JAX_CODE = """
import json, jax
devices = jax.devices()
kinds = sorted({(d.platform, d.device_kind) for d in devices})
count = lambda p, k: sum((d.platform, d.device_kind) == (p, k) for d in devices)
print(json.dumps({"version": jax.__version__, "backend": jax.default_backend(),
                  "devices": [[count(*kind), *kind] for kind in kinds]}))
"""


def check_jax(timeout: float = 120, has_nvidia: bool | None = None) -> Check:
    """Does JAX start, and what does it compute on? `has_nvidia`: is there an NVIDIA card?"""
    if importlib.util.find_spec("jax") is None:
        return Check("jax", "absent", "not installed: games only", install_command("jax"))
    answer = probe(JAX_CODE, timeout)
    if "error" in answer:
        # Whether the driver or the installation is at fault shows on the CPU.
        return Check("jax", "fail", answer["error"], "JAX_PLATFORMS=cpu nitrogen doctor")
    devices = ", ".join(
        f"{count} x {platform} ({kind})" if kind != platform else f"{count} x {platform}"
        for count, platform, kind in answer["devices"]
    )
    detail = f"{answer['version']} on {devices}"
    if has_nvidia is None:
        has_nvidia = Path("/dev/nvidia0").exists()
    asked = os.environ.get("JAX_PLATFORMS", "")
    if answer["backend"] == "cpu" and has_nvidia and not asked:
        detail += ": the NVIDIA card is not used"
        return Check("jax", "warn", detail, install_command("cuda"))
    return Check("jax", "ok", detail + (f" (JAX_PLATFORMS={asked})" if asked else ""))


def check_extra(
    extra: str,
    has: Callable[[str], object] = importlib.util.find_spec,
    version: Callable[[str], str | None] = version_of,
) -> Check:
    """Which libraries of an extra are here?"""
    name = f"[{extra}]"
    modules = EXTRAS[extra]
    present = [
        f"{distribution} {version(distribution) or '(no version)'}"
        for module, distribution in modules.items()
        if has(module)
    ]
    missing = [distribution for module, distribution in modules.items() if not has(module)]
    if not missing:
        return Check(name, "ok", ", ".join(present))
    detail = f"not installed: {', '.join(missing)}"
    return Check(name, "absent", detail, install_command(extra))


VIDEO_CODE = """
import json, av
def has(name, mode):
    try:
        av.codec.Codec(name, mode)
    except Exception:
        return False
    return True
print(json.dumps({"version": av.__version__, "encode": has("libx264", "w") or has("h264", "w"),
                  "decode": has("h264", "r")}))
"""


def check_video() -> Check:
    """Can PyAV read and write H.264?"""
    if importlib.util.find_spec("av") is None:
        return Check("H.264 in PyAV", "absent", "PyAV is not installed", install_command("label"))
    answer = probe(VIDEO_CODE)
    remedy = "pip install --force-reinstall --only-binary av av"
    if "error" in answer:
        return Check("H.264 in PyAV", "fail", answer["error"], remedy)
    lacks = [f"{way}r" for way in ("decode", "encode") if not answer[way]]
    if lacks:
        detail = f"av {answer['version']} has no {' and no '.join(lacks)}"
        return Check("H.264 in PyAV", "warn", detail, remedy)
    return Check("H.264 in PyAV", "ok", f"av {answer['version']} decodes and encodes")
