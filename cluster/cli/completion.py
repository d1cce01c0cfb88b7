"""`completion`: commands, options, sweeps and trial ids at the press of the tab key."""

import click

from cluster.cli.options import example, json_option
from cluster.cli.output import write_json

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog=example(
        "echo 'eval \"$(sipa-cluster completion bash)\"' >> ~/.bashrc",
        "echo 'eval \"$(sipa-cluster completion zsh)\"' >> ~/.zshrc",
        "sipa-cluster completion fish > ~/.config/fish/completions/sipa-cluster.fish",
    )
)
@click.argument("shell", type=click.Choice(SHELLS), metavar="[bash|zsh|fish]")
@json_option("Print the script as a JSON record.")
@click.pass_context
def completion(ctx: click.Context, *, shell: str, as_json: bool) -> None:
    """Print the script that gives a shell tab completion.

    It completes commands, options, names of sweeps and ids of trials.
    """
    from click.shell_completion import get_completion_class

    root = ctx.find_root()
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell!r}")
    program = root.info_name or "sipa-cluster"
    script = kind(root.command, {}, program, f"_{program.replace('-', '_').upper()}_COMPLETE").source()
    if as_json:
        write_json({"shell": shell, "script": script})
    else:
        click.echo(script)
