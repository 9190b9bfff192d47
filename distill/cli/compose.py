"""From a command line to a checked config: the one door through which a config enters the program.

Hydra works out which files are chosen (the defaults list); the files are then read here, so that every key keeps
the line it came from. Nothing is imported, built or created before the whole config has been bound to the
constructors it names; all faults are told at once (``BadInputs``, exit 2).

Left out on purpose: Hydra's run folders, logging, callbacks, launchers and ``hydra:`` settings. A config is data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hydra import initialize_config_dir
from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from distill.cli import overrides as command
from distill.cli.allow import plugin_refusal
from distill.cli.arguments import Arguments
from distill.cli.arms import with_arm
from distill.cli.binding import Binder
from distill.cli.contradictions import contradictions
from distill.cli.definitions import find
from distill.cli.reading import FAILURES, first_line, read
from distill.cli.resolution import resolved
from distill.cli.sources import CONF, ROOT, Sources, lines, told
from distill.errors import BadInput, BadInputs


@dataclass(frozen=True)
class Composed:
    """A config that may be built.

    Attributes:
        arguments: the command line it came from.
        config: plain dicts, lists and numbers, resolved, every key bound; numbers in one written form.
        choices: the chosen file of each group ("teacher" -> "nursery").
        origins: where each key was written ("objective.temperature" -> "conf/objective/forward_kl.yaml:7").
    """

    arguments: Arguments
    config: dict[str, Any]
    choices: Mapping[str, str]
    origins: Mapping[str, str] = field(repr=False)

    @property
    def verb(self) -> str:
        return self.arguments.verb

    @property
    def overrides(self) -> tuple[str, ...]:
        return self.arguments.overrides

    def origin(self, key: str) -> str:
        """The file and line of a key, or of the nearest key above it that stands in a file."""
        return _origin(self.origins, self.verb, key)


def compose(arguments: Arguments) -> Composed:
    """The checked config of a verb (``conf/VERB.yaml``), whose keys are those of the verb's ``Settings``.

    Raises:
        BadInputs: one line for each thing that is wrong.
    """
    sources, faults = _sources(arguments)
    sorted_overrides = command.sort(with_arm(arguments).overrides, sources)
    faults += sorted_overrides.faults
    config, origins, choices = _merged(arguments.verb, sorted_overrides, sources, faults)
    command.apply(sorted_overrides.values, config, faults)
    origins |= dict.fromkeys(sorted_overrides.keys, command.PLACE)
    plain, repeats = resolved(config, lambda key: _origin(origins, arguments.verb, key), faults)
    binder = Binder(lambda key: _origin(origins, arguments.verb, key), arguments.plugins, repeats)
    settings = find(f"distill.cli.{arguments.verb}.Settings")
    bound = binder.record(settings, plain, "", f"distill {arguments.verb}") if settings else plain
    faults += binder.faults
    faults += contradictions(bound, binder.origin)
    if faults:
        raise BadInputs(list({str(fault): fault for fault in faults}.values()))
    return Composed(arguments, bound, choices, origins)


def _sources(arguments: Arguments) -> tuple[Sources, list[BadInput]]:
    refused = {plugin: plugin_refusal(plugin) for plugin in arguments.plugins}
    faults = [BadInput("--plugin", reason, value=plugin) for plugin, reason in refused.items() if reason]
    sources = Sources.of(arguments.config_dir, tuple(plugin for plugin, reason in refused.items() if not reason))
    hostile = sources.inspect()
    if hostile:
        raise BadInputs(faults + hostile)
    return sources, faults


def _merged(
    verb: str, given: command.Overrides, sources: Sources, faults: list[BadInput]
) -> tuple[DictConfig, dict[str, str], dict[str, str]]:
    """All chosen files merged in the order of the defaults list, where each key came from, and the choices."""
    chosen, choices = _chosen(verb, given, sources, faults)
    config, origins = OmegaConf.create({}), {}
    for default in chosen:
        path = sources.file(str(default.config_path))
        assert path is not None, default
        try:
            written = read(path)
        except BadInput as fault:
            faults.append(fault)
            continue
        package = default.package or ""
        placed = OmegaConf.create({})
        OmegaConf.update(placed, package, written, force_add=True) if package else placed.merge_with(written)
        config.merge_with(placed)
        prefix = tuple(package.split(".")) if package else ()
        for key, line in lines(path).items():
            origins[".".join((*prefix, *key))] = f"{told(path)}:{line}"
    return config, origins, choices


def _chosen(
    verb: str, given: command.Overrides, sources: Sources, faults: list[BadInput]
) -> tuple[list[ResultDefault], dict[str, str]]:
    """Hydra's defaults list without Hydra's own part."""
    places = [QuotedString(f"file://{root}", Quote.single).with_quotes() for root in (*sources.added, ROOT)]
    texts = [*(str(one.input_line) for one in given.choices), f"hydra.searchpath=[{','.join(places)}]"]
    try:
        with initialize_config_dir(str(CONF), job_name="distill", version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            found = loader.compute_defaults_list(verb, texts, RunMode.RUN)
    except MissingConfigException as problem:
        raise BadInputs([*faults, _missing(problem, verb, sources)]) from None
    except (HydraException, KeyError, AssertionError, *FAILURES) as problem:
        broken = _broken(sources) if not isinstance(problem, HydraException) else []
        raise BadInputs([*faults, *(broken or [BadInput(command.PLACE, first_line(problem))])]) from None
    kept = []
    for default in found.defaults:
        if str(default.parent or "").startswith("hydra") or default.config_path in (
            None,
            "hydra/config",
            "_dummy_empty_config_",
        ):
            continue
        if str(default.config_path).startswith("hydra/"):
            faults.append(
                BadInput(f"{default.parent}.yaml", f"{default.config_path}: Hydra's own settings are not used here")
            )
            continue
        kept.append(default)
    choices = {
        name: str(value) for name, value in found.overrides.known_choices.items() if not name.startswith("hydra/")
    }
    return kept, choices


def _missing(problem: MissingConfigException, verb: str, sources: Sources) -> BadInput:
    """A file that a defaults list names and that is not there."""
    name = problem.missing_cfg_file
    choice = str(name[0] if isinstance(name, (list, tuple)) else name)
    group, _, option = choice.rpartition("/")
    if not group:
        return BadInput(command.PLACE, f"there is no conf/{verb}.yaml", value=choice)
    message = str(problem)
    parent = sources.file(message.partition("In '")[2].partition("'")[0])
    return command.no_such_choice(f"{_line_of(parent, option)} {group}", option, sources.options(group))


def _line_of(path: Any, word: str) -> str:
    """The first line of a file that holds a word."""
    if path is None:
        return command.PLACE
    text = path.read_text(encoding="utf-8").splitlines()
    number = next((index for index, line in enumerate(text, start=1) if word in line), 1)
    return f"{told(path)}:{number}"


def _broken(sources: Sources) -> list[BadInput]:
    """Every file that could be chosen and does not read: Hydra stops at the first and does not say which."""
    faults = []
    for path in sources.files():
        try:
            read(path)
        except BadInput as fault:
            faults.append(fault)
    return faults


def _origin(origins: Mapping[str, str], verb: str, key: str) -> str:
    while key and key not in origins:
        key = key.rpartition(".")[0]
    return origins.get(key, f"conf/{verb}.yaml")
