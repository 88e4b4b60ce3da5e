"""The format of SQL dumps conforms to the contract of formats."""

from __future__ import annotations

from etl_assets.extract.formats.sql_dump import SqlDump
from etl_assets.testing.format_suite import FormatSuite

_PG_HEAD = (
    "--\n-- PostgreSQL database dump\n--\n\nSET standard_conforming_strings = on;\n"
    "CREATE TABLE public.other (a integer, b text);\n"
    "CREATE TABLE public.words (\n    id integer DEFAULT nextval('x;'::regclass) NOT NULL,\n    word text,\n"
    "    CONSTRAINT c CHECK ((id > 0))\n);\n"
    "COPY public.other (a, b) FROM stdin;\n1\tINSERT INTO public.words VALUES (1, 'no');\n\\.\n\n"
)
_PG_TAIL = (
    "ALTER TABLE ONLY public.words ADD CONSTRAINT p PRIMARY KEY (id);\n--\n-- PostgreSQL database dump complete\n--\n"
)
_LINES = [
    *(f"{n}\tw\\tö{n}" for n in range(20)),
    "20\ttoo\tmany",
    "21\tbad\\",
    *(f"{n}\t\\N" for n in range(22, 40)),
    "40\t",
]
_COPY = "COPY public.words (id, word) FROM stdin;\n" + "\n".join(_LINES) + "\n\\.\n"
_TUPLES = [
    *(f"({n},'it''s; ),({n}')" for n in range(20)),
    "(20,now())",
    "(21)",
    "(22, E'\\'x\\u00e9' -- a comment, '\n)",
    *(f"({n}, NULL)" for n in range(23, 40)),
    "( 40 ,'last'::text)",
]


class TestCopyConforms(FormatSuite):
    format = SqlDump("words", "postgres", batch_bytes=120)
    sample = (_PG_HEAD + _COPY.replace("bad\\", "b\\.d") + _PG_TAIL).encode()
    records = 41
    empty = (_PG_HEAD + _PG_TAIL).encode()


class TestInsertsConform(FormatSuite):
    format = SqlDump("words", "postgres", batch_bytes=120)
    sample = (_PG_HEAD + "INSERT INTO public.words VALUES\n\t" + ",\n\t".join(_TUPLES) + ";\n" + _PG_TAIL).encode()
    records = 41
    empty = (_PG_HEAD + "COPY public.words (id, word) FROM stdin;\n\\.\n" + _PG_TAIL).encode()


class TestInsertsOfOneRecordConform(FormatSuite):
    format = SqlDump('"Words"', "sqlite", batch_bytes=300, null=("",))
    sample = (
        'PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE Words(id, "b;" TEXT);\n'
        "CREATE TRIGGER t AFTER INSERT ON Words BEGIN INSERT INTO Words VALUES(1,2); END;\n"
        + "".join(f"INSERT INTO Words VALUES({n},'a\\''{n}');\n" for n in range(30))
        + "INSERT INTO Words VALUES(30,random());\nINSERT INTO Words VALUES(31,X'00fF');\n"
        "INSERT INTO Words VALUES(32,replace('a\\nb','\\n',char(10)));\nCOMMIT;\n"
    ).encode()
    records = 33
    empty = b"CREATE TABLE words(id);\n"


class TestTranscodedDumpConforms(FormatSuite):
    format = SqlDump("s.`wörds`", "mysql", encoding="utf-16", batch_bytes=150)
    sample = (
        "-- MySQL dump 10.13\n/*!40101 SET NAMES utf8 */;\nUSE `s`;\n"
        "CREATE TABLE `wörds` (`id` int, `w` text, KEY `k` (`id`)) COMMENT='; (';\n"
        "INSERT INTO `other` VALUES ('INSERT INTO `wörds` VALUES (1,\\'2\\');');\nINSERT INTO `wörds` VALUES "
        + ",".join(f"({n},'ö\\'{n}\\\\')" for n in range(40))
        + ",(40,uuid()),(41,0xFf),(42,_binary 'x\\n\\0');\n-- Dump completed on 2024-01-01\n"
    ).encode("utf-16")
    records = 43
