"""Imports point one way, and the command line imports nothing heavy before it is needed."""

import ast
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mirnet_cli"

#: Each part may import those of the rows above it, and itself.
LAYERS = (
    {"_version", "errors", "extras", "files", "folders", "installation", "objects", "options"}
    | {"places", "settings", "signals", "stores", "values", "web"},
    {"photo", "networks"},
    {"runtime"},
    {"models"},
    {"restore"},
    {"batches", "measure", "report"},
    {"training"},
    {"cli"},
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

MOST_PARAMETERS = 7

HEAVY = ("numpy", "torch", "cv2", "PIL", "openvino", "safetensors", "huggingface_hub", "fsspec")
"""What ``mirnet --help`` must not import."""


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def parts_imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and part ("photo") of each import of this project's own in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} is a relative import"
            package = node.module or ""
            names = [package]
            if package == "mirnet_cli":
                names = [f"mirnet_cli.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "mirnet_cli" and rest:
                yield node.lineno, rest.partition(".")[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0]
    for line, other in parts_imported(path):
        below = LEVEL[other] < LEVEL[part]
        assert below or other == part, f"{path.name}:{line}: {part} must not import {other}"


def test_leaves_import_only_leaves() -> None:
    for name in LAYERS[0]:
        for line, other in parts_imported(PACKAGE / f"{name}.py"):
            assert LEVEL[other] == 0, f"{name}.py:{line} imports {other}"


def name_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def files_imported(path: Path, names: set[str]) -> set[str]:
    """The modules of this project that a file imports, wherever in it: late ones count as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            # The package itself is imported by whatever imports one of its modules.
            found |= inner & names or {node.module}
    return found & names - {name_of(path)}


def test_no_files_import_each_other() -> None:
    """Not only parts point one way, but single files too: none needs one that needs it."""
    files = {name_of(path): path for path in PACKAGE.rglob("*.py")}
    graph = {name: files_imported(path, set(files)) for name, path in files.items()}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"in a circle: {' <- '.join(error.args[1])}")


def crowded(path: Path) -> Iterator[str]:
    """The functions of a file that take more than :data:`MOST_PARAMETERS`, ``self`` not counted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            said = node.args
            names = [each.arg for each in (*said.posonlyargs, *said.args, *said.kwonlyargs)]
            several = [each for each in (said.vararg, said.kwarg) if each is not None]
            if len(names) + len(several) - (names[:1] in (["self"], ["cls"])) > MOST_PARAMETERS:
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def test_functions_take_few_parameters() -> None:
    """Values that belong together are one: a dataclass, or options."""
    found = [each for path in sorted(PACKAGE.rglob("*.py")) for each in crowded(path)]
    assert not found, found


def modules_after(code: str) -> set[str]:
    """The modules that a fresh Python has after ``code``."""
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(ran.stderr.splitlines()[-1]))


def imported(code: str) -> set[str]:
    """Top-level names of the modules that a fresh Python has after ``code``."""
    return {name.partition(".")[0] for name in modules_after(code)}


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["denoise", "--help"], ["batch", "--help"], ["denoise", "-z"]],
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    found = imported(f"from mirnet_cli.cli import main\nmain({words!r})")
    assert not found & {*HEAVY, "rich"}


def test_the_list_of_commands_imports_of_this_project_what_it_needs() -> None:
    found = modules_after("from mirnet_cli.cli import main\nmain(['--help'])")
    own = {name for name in found if name.partition(".")[0] == "mirnet_cli"}
    parts = (
        "",
        ".cli",
        ".cli.app",
        ".cli.coercion",
        ".cli.process",
        ".errors",
        ".settings",
        ".signals",
    )
    assert own <= {f"mirnet_cli{part}" for part in (*parts, "._version")}


def test_no_command_imports_anything_heavy_before_it_runs() -> None:
    code = "from mirnet_cli.cli.app import COMMANDS, load_command\n[*map(load_command, COMMANDS)]"
    assert not imported(code) & {*HEAVY, "rich"}


def test_importing_the_package_costs_nothing() -> None:
    assert (
        not imported("import mirnet_cli")
        - imported("")
        - {"mirnet_cli", "typing"}
        - set(sys.stdlib_module_names)
    )


def test_the_public_api_is_loaded_lazily() -> None:
    code = "import mirnet_cli as m\nassert m.__version__ and m.batch and m.UsageError"
    assert not imported(code) & set(HEAVY)


def test_types_know_every_public_name() -> None:
    import mirnet_cli

    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    found = {
        alias.name: node.module
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert found == mirnet_cli._HOME
    assert {*found, "__version__"} == set(mirnet_cli.__all__)


def test_every_public_name_is_there() -> None:
    import mirnet_cli

    for name in mirnet_cli.__all__:
        assert getattr(mirnet_cli, name) is not None
    assert set(mirnet_cli.__all__) <= set(dir(mirnet_cli))
    with pytest.raises(AttributeError):
        mirnet_cli.nonsense  # noqa: B018
