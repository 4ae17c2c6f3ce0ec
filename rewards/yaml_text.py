"""YAML whose scalars stay text: `1e-4` is a number where one is declared, `no` a word where a word
is.
"""

from typing import Any

import yaml


def read_yaml(text: str) -> Any:
    """Mappings, lists and texts as they are written; only null is a value of its own.

    Raises:
        ValueError: it is not YAML, or a key is given twice; the message says where, in one line.
    """
    try:
        return yaml.load(text, _TextLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem}") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise ValueError(str(error).splitlines()[0]) from error


def override(tree: dict[str, Any], word: str) -> None:
    """Set one `section.key=value` in a tree of sections, where the value is YAML.

    Raises:
        ValueError: it has another form, passes through what is not a section, or is not YAML.
    """
    path, equals, text = word.partition("=")
    *sections, key = path.split(".")
    if not equals or not key or not all(sections):
        raise ValueError(f"override {word!r} is not of the form section.key=value")
    node = tree
    for section in sections:
        if node.get(section) is None:
            node[section] = {}
        node = node[section]
        if not isinstance(node, dict):
            raise ValueError(f"override {word!r}: {section} is not a section")
    try:
        node[key] = read_yaml(text)
    except ValueError as error:
        raise ValueError(f"override {word!r}: the value is not YAML") from error


class _TextLoader(yaml.SafeLoader):
    """YAML whose scalars stay text, but for null: types are the schema's business."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is given twice, which YAML would settle in silence."""
        keys = [key.value for key, _ in node.value]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            problem = f"{', '.join(twice)} is given twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


_TextLoader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
