"""The board: maker, model and BIOS from DMI, memory modules from EDAC. Never serial numbers or other ids of a machine.

`/sys/class/dmi/id` hides those from users; they say nothing about energy, and rows are meant to be published.
"""

from pathlib import Path

from jobs.sysfs import number, numbered, text

NAMES = ("sys_vendor", "product_name", "bios_vendor", "bios_version", "bios_date")


def firmware(root: Path) -> dict[str, str | None] | None:
    """Maker and model of the machine, maker, version and date of its BIOS; None where there is no DMI."""
    found = {name: text(root / "sys/class/dmi/id" / name) for name in NAMES}
    return found if any(found.values()) else None


def dimms(root: Path) -> dict[str, str] | None:
    """Memory module -> its size, type and place, empty slots left out; None where no driver says (EDAC)."""
    found = {}
    for controller in numbered(root / "sys/devices/system/edac/mc", "mc"):
        modules = numbered(controller, "dimm") or numbered(controller, "rank")
        for module in modules:
            if size := number(module / "size"):
                what = (f"{size} MiB", text(module / "dimm_mem_type"), text(module / "dimm_label"))
                found[f"{controller.name}/{module.name}"] = ", ".join(filter(None, what))
    return found or None
