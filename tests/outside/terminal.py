"""A run in a terminal of a given width: every line fits, no hash is broken, the verdict comes last, and a report is a link.

usage: terminal.py WIDTH WORD COMMAND…    (WORD is the verdict)
"""

import fcntl
import os
import pty
import re
import struct
import sys
import termios

width, word, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    os.environ.update({"TERM": "xterm-256color", "FORCE_HYPERLINK": "1"})
    os.execv(command[0], command)
written = b""
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:
        break
    if not part:
        break
    written += part
os.waitpid(pid, 0)

text = written.decode()
links = re.findall(r"\x1b\]8;;(file://[^\x1b]+)\x1b\\", text)
plain = re.sub(r"\x1b\]8;;[^\x1b]*\x1b\\|\x1b\[[0-9;?]*[A-Za-z]", "", text)
# What stands before a carriage return alone was drawn over: the progress line.
frames = [line for line in plain.split("\r\n")]
for frame in frames:
    for drawn in frame.split("\r"):
        assert len(drawn) <= width, (len(drawn), drawn)
lines = [line.split("\r")[-1].rstrip() for line in frames]
while lines and not lines[-1]:
    lines.pop()
verdict = max(number for number, line in enumerate(lines) if line.startswith(word))
assert not any(line and not line.startswith("  ") for line in lines[verdict + 1:]), lines[verdict:]
for hexadecimal in re.findall(r"[0-9a-f]{30,}", "\n".join(lines)):
    assert len(hexadecimal) == 64, hexadecimal
assert len(links) == sum(argument.startswith("html=") for argument in command), links
print("\n".join(lines))
