"""A made host below a folder: a node with two Xeon Gold 6240R, as a kernel shows it in /sys, /proc and /dev.

    tree = HostTree(tmp_path)
    tree.set_governor("powersave")
    fingerprint(tree.root)

Real files all through, also the registers (sparse files); by default two CPUs a socket instead of 48, for speed.
"""

import os
import struct
from pathlib import Path

from tests.sipa.energy.powercap_tree import Layout, PowercapTree

CPU = "sys/devices/system/cpu"
GOVERNORS = "performance powersave"
BOOT_ID = "0f8e7d6c-5b4a-4392-8170-123456789abc"

_CPUINFO = """\
processor\t: {cpu}
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 85
model name\t: Intel(R) Xeon(R) Gold 6240R CPU @ 2.40GHz
stepping\t: 7
microcode\t: 0x5003707
physical id\t: {package}
flags\t\t: fpu vme msr pae mce aperfmperf constant_tsc nonstop_tsc epb hwp avx512f
"""
_FILES = {
    "proc/meminfo": "MemTotal:       196508888 kB\nMemFree:        180000000 kB\n",
    "proc/loadavg": "0.04 0.03 0.00 1/900 4242\n",
    "proc/vmstat": "pgfault 1\noom_kill 0\n",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n",
    "proc/sys/kernel/numa_balancing": "0\n",
    "proc/sys/kernel/random/boot_id": f"{BOOT_ID}\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/devices/system/node/node0/cpulist": "0-1\n",
    "sys/devices/system/node/node1/cpulist": "2-3\n",
    "sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
    "sys/class/dmi/id/product_name": "PowerEdge R740\n",
    "sys/class/dmi/id/bios_vendor": "Dell Inc.\n",
    "sys/class/dmi/id/bios_version": "2.19.1\n",
    "sys/class/dmi/id/bios_date": "06/04/2023\n",
    "sys/class/dmi/id/product_serial": "SECRET1\n",
    "sys/class/dmi/id/product_uuid": "4c4c4544-0000-0000-0000-000000000000\n",
    f"{CPU}/smt/control": "on\n",
    f"{CPU}/intel_pstate/no_turbo": "0\n",
    f"{CPU}/cpuidle/current_driver": "intel_idle\n",
    f"{CPU}/cpuidle/current_governor": "menu\n",
}
_STATES = ("POLL", "C1", "C1E", "C6")
_LIMITS = {"long_term": (165_000_000, 999_424), "short_term": (198_000_000, 7_808)}


class HostTree:
    """The files of a host below a folder.

    Args:
        folder: its root.
        cpus_per_socket: CPUs of each of two sockets.
        layout: of the energy counters.
    """

    def __init__(self, folder: Path, *, cpus_per_socket: int = 2, layout: Layout = Layout.XEON_6240R) -> None:
        self.root = folder
        self.powercap = PowercapTree(folder, layout)
        self.cpus = 2 * cpus_per_socket
        for path, content in _FILES.items():
            self.write(path, content)
        packages = [cpu // cpus_per_socket for cpu in range(self.cpus)]
        self.write("proc/cpuinfo", "\n".join(_CPUINFO.format(cpu=cpu, package=p) for cpu, p in enumerate(packages)))
        for cpu, package in enumerate(packages):
            self._cpu(cpu, package)
        for package in (0, 1):
            self.write(f"sys/class/thermal/thermal_zone{package}/type", "x86_pkg_temp\n")
            self.set_temperature(package, 38.0)
            self._memory(package)
        self._counters()

    def path(self, name: str) -> Path:
        """Where a file is; its name begins with `sys/`, `proc/`, `dev/` or `etc/`."""
        return self.root / name

    def write(self, name: str, content: str) -> Path:
        """Make a file, or let it hold something else."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def governors(self) -> list[str]:
        """What each group of CPUs says."""
        return [self.path(self._governor(cpu)).read_text().strip() for cpu in range(self.cpus)]

    def set_governor(self, governor: str, *cpus: int) -> None:
        """Set the governor of some CPUs, of all if none is named."""
        for cpu in cpus or range(self.cpus):
            self.write(self._governor(cpu), f"{governor}\n")

    @property
    def turbo(self) -> bool:
        """Whether turbo is on."""
        return self.path(f"{CPU}/intel_pstate/no_turbo").read_text().strip() == "0"

    def set_temperature(self, package: int, celsius: float) -> None:
        """Let a package be so warm."""
        self.write(f"sys/class/thermal/thermal_zone{package}/temp", f"{round(celsius * 1000)}\n")

    def set_throttling(self, package: int, *, thermal: int, power: int = 0) -> None:
        """Let a package have throttled so often since boot; each of its CPUs shows the same number."""
        size = self.cpus // 2
        for cpu in range(package * size, (package + 1) * size):
            self.write(f"{CPU}/cpu{cpu}/thermal_throttle/package_throttle_count", f"{thermal}\n")
            self.write(f"{CPU}/cpu{cpu}/thermal_throttle/package_power_limit_count", f"{power}\n")

    def set_register(self, cpu: int, register: int, value: int) -> None:
        """Let a model-specific register hold a value."""
        path = self.path(f"dev/cpu/{cpu}/msr")
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(descriptor, struct.pack("<Q", value), register)
        finally:
            os.close(descriptor)

    def set_cycles(self, cpu: int, *, real: int, base: int) -> None:
        """Let APERF and MPERF of a CPU be `real + base / 256` and `base` times 2^56; both numbers below 256.

        In a regular file the two overlap, because their numbers differ by one: the registers' top bytes can be chosen,
        and the top byte of MPERF is the second one of APERF.
        """
        self.set_register(cpu, 0xE7, base << 56)
        self.set_register(cpu, 0xE8, (real << 56) + (base << 48))

    def start_process(self, pid: int, name: str, *, session: int = 1, tty: int = 0, command: str = "") -> None:
        """Let a process run, asleep."""
        self.write(f"proc/{pid}/stat", f"{pid} ({name}) S 1 {session} {session} {tty} -1 0 0 0 0 0 0 0\n")
        self.write(f"proc/{pid}/cmdline", command.replace(" ", "\0"))

    def _governor(self, cpu: int) -> str:
        return f"{CPU}/cpufreq/policy{cpu}/scaling_governor"

    def _cpu(self, cpu: int, package: int) -> None:
        folder, policy = f"{CPU}/cpu{cpu}", f"{CPU}/cpufreq/policy{cpu}"
        files = {
            f"{folder}/topology/physical_package_id": f"{package}\n",
            f"{folder}/topology/die_id": "0\n",
            f"{folder}/power/energy_perf_bias": "6\n",
            f"{folder}/thermal_throttle/package_throttle_count": "0\n",
            f"{folder}/thermal_throttle/package_power_limit_count": "0\n",
            f"{policy}/scaling_governor": "powersave\n",
            f"{policy}/scaling_available_governors": f"{GOVERNORS}\n",
            f"{policy}/scaling_driver": "intel_pstate\n",
            f"{policy}/energy_performance_preference": "balance_performance\n",
            f"{policy}/base_frequency": "2400000\n",
        }
        for index, state in enumerate(_STATES):
            files |= {
                f"{folder}/cpuidle/state{index}/name": f"{state}\n",
                f"{folder}/cpuidle/state{index}/disable": "0\n",
            }
        for name, content in files.items():
            self.write(name, content)
        (self.root / folder / "cpufreq").symlink_to(f"../cpufreq/policy{cpu}")
        self.set_register(cpu, 0xBC, 0)
        self.set_cycles(cpu, real=0, base=0)

    def _memory(self, package: int) -> None:
        for slot in range(6):
            module = f"sys/devices/system/edac/mc/mc{package}/dimm{slot}"
            self.write(f"{module}/size", "16384\n")
            self.write(f"{module}/dimm_mem_type", "Registered-DDR4\n")
            self.write(f"{module}/dimm_label", f"CPU_SrcID#{package}_MC#{slot // 3}_Chan#{slot % 3}_DIMM#0\n")

    def _counters(self) -> None:
        """Limits as the firmware sets them, and counters that only their owner and group may read."""
        for domain in self.powercap.ids:
            self.powercap.path(domain).chmod(0o440)
            if domain.startswith("pkg"):
                for index, (name, (power_uw, window_us)) in enumerate(_LIMITS.items()):
                    zone = self.powercap.path(domain).parent.relative_to(self.root)
                    self.write(f"{zone}/constraint_{index}_name", f"{name}\n")
                    self.write(f"{zone}/constraint_{index}_power_limit_uw", f"{power_uw}\n")
                    self.write(f"{zone}/constraint_{index}_time_window_us", f"{window_us}\n")
