"""`[testbed]`: which kind, then the keys of that kind only."""

from typing import Any

from sipa.spec.document import TESTBEDS, ChameleonTestbed, LocalTestbed, StaticTestbed
from sipa.spec.messages import Problems, did_you_mean, got, one_of, show
from sipa.spec.model import Chameleon, StaticHosts, TestbedKind, TestbedSpec
from sipa.spec.sections import read


def read_testbed(table: object, problems: Problems) -> TestbedSpec | None:
    """Check `[testbed]`; what comes back is only to be used where no problem was noted."""
    path = ("testbed",)
    kind = table.get("kind", TestbedKind.LOCAL) if isinstance(table, dict) else TestbedKind.LOCAL
    if kind not in [*TestbedKind]:
        problems.add((*path, "kind"), one_of(TestbedKind) + got(kind) + did_you_mean(kind, TestbedKind))
        return None
    own = _without_foreign(table, TestbedKind(kind), problems) if isinstance(table, dict) else table
    reading = read(TESTBEDS[TestbedKind(kind)], own, path, problems)
    match reading.section:
        case LocalTestbed(nodes=nodes):
            _check_local(nodes, problems)
            return TestbedSpec(kind=TestbedKind.LOCAL)
        case StaticTestbed(hosts=hosts, user=user, jump=jump):
            _check_twins("hosts", hosts, problems)
            static = StaticHosts(hosts=hosts, user=user, jump=jump)
            return TestbedSpec(kind=TestbedKind.STATIC, static=static)
        case ChameleonTestbed() as section:
            _check_twins("node_types", section.node_types, problems)
            return TestbedSpec(kind=TestbedKind.CHAMELEON, chameleon=_chameleon(section, problems))
        case None:
            return None


def _without_foreign(table: dict[str, Any], kind: TestbedKind, problems: Problems) -> dict[str, Any]:
    """The keys but for those of other kinds, which are noted."""
    own: dict[str, Any] = {}
    for key, value in table.items():
        owners = [f"'{each}'" for each, model in TESTBEDS.items() if key in model.model_fields]
        if owners and key not in TESTBEDS[kind].model_fields:
            problems.add(("testbed", key), f"belongs to kind = {' or '.join(owners)}; the kind here is '{kind}'")
        else:
            own[key] = value
    return own


def _check_local(nodes: object, problems: Problems) -> None:
    if isinstance(nodes, bool) or nodes != 1:
        problems.add(
            ("testbed", "nodes"),
            f"must be 1{got(nodes)}: two workers on one machine would share its energy counters and disturb "
            "each other. For more machines: kind = 'static' with hosts = [...], or kind = 'chameleon'",
        )


def _check_twins(key: str, entries: tuple[str, ...], problems: Problems) -> None:
    for index, entry in enumerate(entries):
        first = entries.index(entry)
        if first != index:
            problems.add(("testbed", key, index), f"is the same as [{first}]{got(entry)}")


def _chameleon(section: ChameleonTestbed, problems: Problems) -> Chameleon:
    nodes = section.nodes
    if nodes.min > nodes.max:
        problems.add(("testbed", "nodes", "max"), f"must be at least min = {show(nodes.min)}{got(nodes.max)}")
    lease = section.model_dump(exclude={"kind", "nodes"})
    return Chameleon(nodes_min=nodes.min, nodes_max=nodes.max, **lease)
