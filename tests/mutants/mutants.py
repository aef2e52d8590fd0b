#!/usr/bin/env python3
"""The mutant files of this folder: looked at, applied, taken back.

	mutants.py lint SRC		says what is wrong with any of them; exit code 1 then
	mutants.py mirror SRC TO	TO becomes a copy of the files of SRC that git does not ignore
	mutants.py field FILE KEY	a value of the head: file, test or why
	mutants.py apply FILE TREE	changes the source in TREE; 3 when its old text is not there once
	mutants.py undo FILE TREE SRC	the source in TREE as it is in SRC
"""
import os
import pathlib
import re
import subprocess
import sys

KEYS = ('file', 'test', 'why')


class Wrong(Exception):
    pass


def parse(path):
    """The head as a dict, the old text and the new one, whole lines each."""
    parts = re.split(r'^---\n', path.read_text(), maxsplit=2, flags=re.M)
    if len(parts) != 3:
        raise Wrong('it has no two lines ---')
    head = {}
    for line in parts[0].splitlines():
        key, _, value = line.partition(' ')
        if key not in KEYS or key in head or not value.strip():
            raise Wrong(f'its head has the line {line!r}')
        head[key] = value.strip()
    for key in KEYS:
        if key not in head:
            raise Wrong(f'its head has no {key}')
    if not parts[1].strip():
        raise Wrong('its old text is empty')
    if parts[1] == parts[2]:
        raise Wrong('it changes nothing')
    return head, parts[1], parts[2]


def occurrences(text, old):
    """How often the lines `old` stand in the text; they may not begin within a line."""
    return ('\n' + text).count('\n' + old)


def mutants(source):
    folder = source / 'tests/mutants'
    return sorted(path for path in folder.iterdir() if '.' not in path.name)


def known_tests(source):
    """What tests/Makemodule.am names: each test of TESTS is a word of it."""
    return set(re.findall(r'tests/[\w/.]+', (source / 'tests/Makemodule.am').read_text()))


def lint(source):
    tests, bad = known_tests(source), 0
    for path in mutants(source):
        try:
            if not re.fullmatch(r'[a-z0-9]+(-[a-z0-9]+)*', path.name):
                raise Wrong('its name is not words of lower case with dashes between')
            head, old, _ = parse(path)
            if not (source / head['file']).is_file():
                raise Wrong(f'there is no file {head["file"]}')
            count = occurrences((source / head['file']).read_text(), old)
            if count != 1:
                raise Wrong(f'its old text is {count} times in {head["file"]}')
            for test in head['test'].split():
                if test not in tests:
                    raise Wrong(f'{test} is no test of tests/Makemodule.am')
        except Wrong as wrong:
            print(f'tests/mutants/{path.name}: {wrong}', file=sys.stderr)
            bad = 1
    # a row's control that is a mutant names one that is there
    names = {path.name for path in mutants(source)}
    for script in sorted((source / 'tests/run').glob('*.sh')):
        for name in re.findall(r'control_mutant ([a-z0-9-]+)', script.read_text()):
            if name not in names:
                print(f'tests/run/{script.name}: there is no tests/mutants/{name}', file=sys.stderr)
                bad = 1
    return bad


def mirror(source, to):
    """Only what differs is written, so that make compiles no more than that."""
    names = subprocess.run(['git', '-C', source, '-c', f'safe.directory={source.resolve()}',
                            'ls-files', '-z', '-c', '-o', '--exclude-standard'], capture_output=True)
    if names.returncode != 0:
        raise SystemExit(f'{source} is no checkout of git: {os.fsdecode(names.stderr)}')
    for name in [pathlib.Path(os.fsdecode(name)) for name in names.stdout.split(b'\0') if name]:
        there = to / name
        if not (source / name).is_file():
            continue
        data = (source / name).read_bytes()
        if not there.is_file() or there.read_bytes() != data:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(data)
        there.chmod((source / name).stat().st_mode & 0o777)
    return 0


def apply(path, tree):
    head, old, new = parse(path)
    file = tree / head['file']
    text = file.read_text()
    if occurrences(text, old) != 1:
        return 3
    file.write_text(('\n' + text).replace('\n' + old, '\n' + new)[1:])
    return 0


def undo(path, tree, source):
    head = parse(path)[0]
    (tree / head['file']).write_bytes((source / head['file']).read_bytes())
    return 0


def main():
    command, *rest = sys.argv[1:]
    paths = [pathlib.Path(text) for text in rest]
    if command == 'lint':
        return lint(paths[0])
    if command == 'mirror':
        return mirror(*paths)
    if command == 'field':
        print(parse(paths[0])[0][rest[1]])
        return 0
    if command == 'apply':
        return apply(*paths)
    if command == 'undo':
        return undo(*paths)
    raise SystemExit(__doc__)


sys.exit(main())
