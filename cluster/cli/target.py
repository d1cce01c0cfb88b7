"""Which results folder a user means: by the sweep's name, by the folder, or by the sweep file."""

from pathlib import Path

from cluster.cli.lazy import did_you_mean
from sipa.errors import ResultsError
from sipa.results.layout import SweepFolder


def folder_of(sweep: str, results: Path) -> SweepFolder:
    """The folder of a sweep, which need not exist.

    Args:
        sweep: a name, a results folder or a sweep file.
        results: where the sweeps' folders lie.

    Raises:
        SpecError: a sweep file with problems.
    """
    if sweep.endswith(".toml"):
        from sipa.spec import load_spec

        return SweepFolder(results / load_spec(Path(sweep)).name)
    path = Path(sweep)
    given_as_path = path.is_dir() and (path.name != sweep or _is_sweep(path))
    return SweepFolder(path if given_as_path else results / sweep)


def existing_folder(sweep: str, results: Path) -> SweepFolder:
    """The folder of a sweep that was run at least once.

    Raises:
        ResultsError: there is none; says which was probably meant.
        SpecError: a sweep file with problems.
    """
    folder = folder_of(sweep, results)
    if folder.path.is_dir():
        return folder
    if sweep.endswith(".toml"):
        raise ResultsError(
            f"{folder.path}: no such folder: the sweep was not run yet. Run it: sipa-cluster run {sweep}"
        )
    known = names(results)
    there = f" There are: {', '.join(known)}." if known else f" There is no sweep below {results} yet."
    raise ResultsError(f"{sweep}: no such sweep.{did_you_mean(sweep, known)}{there}")


def names(results: Path) -> list[str]:
    """The sweeps below a folder."""
    if not results.is_dir():
        return []
    return sorted(each.name for each in results.iterdir() if _is_sweep(each))


def trial_ids(folder: SweepFolder) -> list[str]:
    """Every trial that left a log, a failure or a row."""
    found = [*folder.logs.glob("*.log"), *folder.failures.glob("*.json"), *folder.trials.glob("*.parquet")]
    return sorted({path.name.partition(".")[0] for path in found})


def _is_sweep(path: Path) -> bool:
    return (path / "trials").is_dir()
