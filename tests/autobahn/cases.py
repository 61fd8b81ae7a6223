"""Makes the Autobahn cases, which are Python 2, importable: a converted copy in a temporary folder, never committed."""

import codecs
import importlib
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

# Compression (12, 13) is not offered by the server, and 9.9.1 is switched off by its authors.
LEFT_OUT = re.compile(r"^.*(case12_x_x|case9_9_1|Case1[23]_X_X|Case9_9_1).*$", re.MULTILINE)

# A str of Python 2 is bytes; here it is text in which each character stands for one byte.
REPLACEMENTS = [
    ("(object, Case, )", "(Case, )"),
    (".tostring()", ".tobytes().decode('latin-1')"),
    (".encode('utf8')", '.encode("utf8", "surrogatepass").decode("latin-1")'),
    ("/ self.p.autoFragmentSize", "// self.p.autoFragmentSize"),
    ("import binascii", "import autobahn.hexadecimal as binascii"),
]


class Utf8Validator:
    """Whether bytes are the beginning of valid UTF-8, and end with a whole character."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def validate(self, text):
        try:
            self.decoder.decode(text.encode("latin-1"))
        except UnicodeDecodeError:
            return (False, False)
        return (True, self.decoder.getstate()[0] == b"")


class WebSocketProtocol:
    """The names that cases take from the library they were written for."""

    STATE_CLOSED, STATE_CONNECTING, STATE_CLOSING, STATE_OPEN = range(4)
    CLOSE_STATUS_CODE_NORMAL = 1000
    CLOSE_STATUS_CODE_GOING_AWAY = 1001
    CLOSE_STATUS_CODE_PROTOCOL_ERROR = 1002
    CLOSE_STATUS_CODE_INVALID_PAYLOAD = 1007


def _stand_in(name, **members):
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module


def _convert(source, target):
    shutil.copytree(source, target)
    command = [sys.executable, "-W", "ignore", "-m", "lib2to3", "--write", "--nobackups", "--no-diffs", str(target)]
    converted = subprocess.run(command, capture_output=True, text=True)
    if converted.returncode != 0:
        raise RuntimeError(f"lib2to3 failed:\n{converted.stderr}")
    for path in target.glob("*.py"):
        text = path.read_bytes().decode("utf-8")
        text = re.sub(r"[^\x00-\x7f]", lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode()), text)
        text = LEFT_OUT.sub("", text)
        for old, new in REPLACEMENTS:
            text = text.replace(old, new)
        path.write_text(text)


def load(installed, folder):
    """The case classes, in the suite's order. `installed` is where the package lies, `folder` a temporary one."""
    name = "autobahn_cases"
    _convert(Path(installed) / "autobahntestsuite" / "case", Path(folder) / name)
    _stand_in("autobahn")
    _stand_in("autobahn.websocket")
    _stand_in("autobahn.websocket.protocol", WebSocketProtocol=WebSocketProtocol)
    _stand_in("autobahn.websocket.utf8validator", Utf8Validator=Utf8Validator)
    _stand_in("autobahn.hexadecimal", b2a_hex=lambda text: text.encode("latin-1").hex())
    sys.modules["autobahn"].hexadecimal = sys.modules["autobahn.hexadecimal"]
    sys.path.insert(0, str(folder))
    package = importlib.import_module(name)
    # Comparing pickles, as the original does, also compares which objects are the same one.
    importlib.import_module(f"{name}.case").Case.compare = lambda _self, one, other: one == other
    return package.Cases


def case_id(case):
    """Such as `6.4.1`."""
    return case.__name__.removeprefix("Case").replace("_", ".")
