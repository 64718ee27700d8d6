"""``ppcls benchmark``: how fast exported bundles predict on this machine, with every engine, and
how fast recipes train.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List, Sequence

from ppcls.commands import add_config_arguments, run_with_config
from ppcls.errors import UsageError

if TYPE_CHECKING:
    from ppcls.benchmark.request import Request
    from ppcls.benchmark.training.report import Point
    from ppcls.benchmark.training.sweep import Sweep
    from ppcls.config import Config

_PREPROCESSING = {"excluded": [False], "included": [True], "both": [False, True]}

EXAMPLES = (
    "ppcls benchmark deploy --models AlexNet,ResNet50 --images photos",
    "ppcls benchmark deploy --model_dir output/my_photos/inference --images photos --output timing",
    "ppcls benchmark train -c my_photos/recipe.yaml",
    "ppcls benchmark train -c my_photos/recipe.yaml --sweep batch_size=8,16,32 --output timing",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    deploy = actions.add_parser(
        "deploy", help="time bundles in the scenarios of MLPerf Inference", allow_abbrev=False
    )
    _add_networks(deploy)
    _add_ways(deploy)
    _add_lengths(deploy)
    _add_results(deploy)
    train = actions.add_parser(
        "train",
        help="time a recipe: the loader, the step, and both in the trainer",
        allow_abbrev=False,
    )
    _add_training(train)


def _add_training(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    for option, default, text in (
        ("--steps", 10, "of each turn"),
        ("--rounds", 7, "turns of each part; below 6 there is no interval"),
        ("--warm-up", 3, "steps of each turn that do not count"),
    ):
        parser.add_argument(
            option, type=_count, default=default, metavar="N", help=f"{text} (default: {default})"
        )
    parser.add_argument(
        "--sweep",
        metavar="KEY=VALUE,...",
        help="measure with each value: batch_size, num_workers, threads, or a key as for -o",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="for results.md, results.json and sweep.png"
    )


def _add_networks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models",
        type=_names,
        default=[],
        metavar="NAME,...",
        help="networks to export once, to a cache: with published weights where they are at hand, "
        "else random ones",
    )
    parser.add_argument(
        "--model_dir", nargs="+", default=[], metavar="DIR", help="exported bundles"
    )
    parser.add_argument(
        "--images",
        required=True,
        metavar="FOLDER_OR_LIST",
        help="photos: a folder, a folder with one for each class, or a list file of 'path class'",
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where --models are exported to")


def _add_ways(parser: argparse.ArgumentParser) -> None:
    for option, default, text in (
        ("--engines", [], "names, or all that are installed (default)"),
        ("--precision", ["fp32"], "fp32, fp16, bf16, int8 (default: fp32)"),
        ("--scenario", ["single"], "single, multi, server, offline (default: single)"),
    ):
        parser.add_argument(option, type=_names, default=default, metavar="NAME,...", help=text)
    parser.add_argument(
        "--batch-sizes", type=_numbers, default=[1], metavar="N,...", help="default: 1"
    )
    parser.add_argument(
        "--preprocessing",
        choices=list(_PREPROCESSING),
        default="both",
        help="whether reading and preparing images is timed (default: both)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, gpu, gpu:N or auto (default: cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="default: one per core")
    parser.add_argument(
        "--no-bare", action="store_true", help="do not call the engines without the toolkit too"
    )


def _add_lengths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--duration",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="for each engine in each scenario, at least (default: 1; MLPerf's rules: 600)",
    )
    parser.add_argument(
        "--queries",
        type=int,
        metavar="N",
        help="the same in queries; offline: samples (default: single 100, multi 400, server 400, "
        "offline 200)",
    )
    parser.add_argument(
        "--latency-bound",
        type=float,
        default=15.0,
        metavar="MS",
        help="server: what the percentile keeps within (default: 15, MLPerf's for ResNet50)",
    )
    parser.add_argument(
        "--server-percentile", type=float, default=99.0, metavar="P", help="default: 99"
    )
    parser.add_argument(
        "--cold-starts",
        type=int,
        default=1,
        metavar="N",
        help="new processes for each engine, which show start and memory (default: 1; 0 for none)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: 0)")


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="for results.md, .csv, .json and plot.png; written after each network",
    )
    parser.add_argument(
        "--write-tables",
        action="store_true",
        help="keep the latencies of --models for the tables of networks (ppcls zoo, "
        "tools/model_zoo.py)",
    )
    parser.add_argument(
        "--loadgen",
        action="store_true",
        help="compare single stream and offline with MLPerf's own load generator",
    )


def _names(text: str) -> List[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _numbers(text: str) -> List[int]:
    try:
        return [int(word) for word in _names(text)]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no list of numbers; write whole numbers from 1, as 1,4,8"
        ) from None


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Do the action; return the exit status."""
    return _train(arguments) if arguments.action == "train" else _deploy(arguments)


def _train(arguments: argparse.Namespace) -> int:
    """Measure a recipe, print the table, and write it where that is asked for."""
    return run_with_config(arguments, _sweep if arguments.sweep else _measure)


def _measure(config: Config, arguments: argparse.Namespace) -> int:
    from ppcls.benchmark.training.measure import Settings, measure_training
    from ppcls.benchmark.training.report import training_as_markdown
    from ppcls.files import write_text

    found = measure_training(config, Settings(arguments.steps, arguments.rounds, arguments.warm_up))
    print(training_as_markdown(found), end="")
    if arguments.output:
        write_text(arguments.output / "results.md", training_as_markdown(found))
        write_text(arguments.output / "results.json", found.model_dump_json(indent=1) + "\n")
    return 0


def _sweep(_: Config, arguments: argparse.Namespace) -> int:
    from ppcls.benchmark.training.report import sweep_as_markdown
    from ppcls.benchmark.training.sweep import Sweep, measure_each

    sweep = Sweep.of(arguments.sweep)
    points = measure_each(sweep, _without_sweep(arguments))
    table = sweep_as_markdown(sweep.key, points)
    print(table, end="")
    if arguments.output:
        _write_sweep(sweep, points, table, arguments.output)
    return 0


def _write_sweep(sweep: Sweep, points: Sequence[Point], table: str, folder: Path) -> None:
    from ppcls.benchmark.training.sweep import draw
    from ppcls.files import write_text

    content = [{"value": value, **found.model_dump()} for value, found in points]
    write_text(folder / "results.md", table)
    write_text(folder / "results.json", json.dumps({"key": sweep.key, "points": content}, indent=1))
    draw(sweep, points, folder / "sweep.png")


def _without_sweep(arguments: argparse.Namespace) -> List[str]:
    """Return the command line of one measurement."""
    given = ["-c", arguments.config]
    given += ["-o", *arguments.override] if arguments.override else []
    given += [word for name in arguments.imports for word in ("--import", name)]
    for option in ("steps", "rounds", "warm_up"):
        given += [f"--{option.replace('_', '-')}", str(getattr(arguments, option))]
    return given


def _deploy(arguments: argparse.Namespace) -> int:
    """Measure, print the tables, and write them where that is asked for.

    They are written after each network already, so that nothing is lost if this process ends.
    """
    from ppcls.benchmark.deploy import benchmark
    from ppcls.benchmark.report import as_markdown

    request = _request(arguments)
    results = benchmark(request)
    print(as_markdown(results), end="")
    request.outputs.finish(results)
    return 0


def _request(arguments: argparse.Namespace) -> Request:
    from ppcls.arch.latency import MEASURED
    from ppcls.benchmark.outputs import Outputs
    from ppcls.benchmark.request import Request

    if not arguments.models and not arguments.model_dir:
        raise UsageError(
            "which networks? Name some (--models AlexNet,ResNet50) or bundles (--model_dir DIR)"
        )
    return Request(
        models=arguments.models,
        model_dirs=arguments.model_dir,
        images=arguments.images,
        batch_sizes=arguments.batch_sizes,
        precisions=arguments.precision,
        engines=[name for name in arguments.engines if name != "all"],
        scenarios=arguments.scenario,
        preprocessing=_PREPROCESSING[arguments.preprocessing],
        device=arguments.device,
        threads=arguments.threads,
        bare=not arguments.no_bare,
        seconds=arguments.duration,
        queries=arguments.queries,
        latency_bound=arguments.latency_bound / 1e3,
        server_percent=arguments.server_percentile,
        cold_starts=arguments.cold_starts,
        loadgen=arguments.loadgen,
        seed=arguments.seed,
        cache=arguments.cache,
        command=sys.argv[1:],
        outputs=Outputs(arguments.output, MEASURED if arguments.write_tables else None),
    )
