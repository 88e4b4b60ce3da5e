"""The format of delimited text conforms to the contract of formats."""

from __future__ import annotations

from etl_assets.extract.formats.csv import Csv
from etl_assets.testing.format_suite import FormatSuite

_LINES = [
    b"number,word,text\r\n",
    *(b'%d,word,"some, text"\r\n' % n for n in range(20)),
    b"20,too,many,fields\r\n",
    b'21,"not closed,x\r\n',
    b"22,w\xff,x\r\n",
    b"23,\0,x\r\n",
    *(b'%d,,"two\r\nlines"\r\n' % n for n in range(24, 40)),
    b"40,last,without line end",
]


class TestCsvConforms(FormatSuite):
    format = Csv(batch_bytes=200)
    sample = b"".join(_LINES)
    records = 41
    empty = b"number,word,text\r\n"
    uncertain = 2  # a quoted text with a line end
    marked = b"\xef\xbb\xbf" + sample
    foreign = "number,word,text\n1,caf\u00e9,x\n".encode("latin-1")
    twins = b"number,word,word\n1,2,3\n"
    huge = b"number,word,text\n1,%s,x\n" % (b"x" * 1000)
    nul = b"number,word,text\n1,\0,x\n"


class TestTranscodedCsvConforms(FormatSuite):
    format = Csv(encoding="utf-16", batch_bytes=200)
    sample = b"".join(line for line in _LINES if b"\xff" not in line).decode().encode("utf-16")
    records = 40
    empty = "a;b\n".encode("utf-16")


class TestCsvOfOneColumnConforms(FormatSuite):
    format = Csv(batch_bytes=64, header=("only",))
    sample = b"".join(b'"%d"\n' % n for n in range(50)) + b'""\n\n\na,b\n'
    records = 52
    empty = b"\n"


class TestCsvInAnotherDialectConforms(FormatSuite):
    format = Csv(
        delimiter="||",
        escape="\\",
        line_end="\r",
        header_begins="number||",
        footer_begins="Records:",
        repeated_header="skip",
        long_records="trim",
        batch_bytes=200,
    )
    sample = b"".join(
        (
            b"Report\r",
            b"number||word||text\r",
            *(b'%d||a\\|\\|b||"some|| \\"text\\""\r' % n for n in range(20)),
            b"20||too||many||fields\r",
            b'21||"not closed||x\r',
            b"22||w\xff||x\r",
            b"number||word||text\r",
            *(b'%d||||"two\r\nlines\\\\"||\r' % n for n in range(23, 40)),
            b"40||escaped\\\r||line end\r",
            b"Records: 41\r",
        )
    )
    records = 41
    empty = b"number||word||text\rRecords: 0\r"


class TestTranscodedCsvInAnotherDialectConforms(FormatSuite):
    format = Csv(delimiter="\t|", escape="\\", quote=None, encoding="utf-16", long_records="join", batch_bytes=100)
    sample = "".join(
        ("a\t|é\n", *(f"{n}\t|x\\\n|\\\t\t|more\t|{n}\n" for n in range(20)), "alone\n", "20\t|\0\r\n")
    ).encode("utf-16")
    records = 22
    empty = "a\t|b\n".encode("utf-16")
