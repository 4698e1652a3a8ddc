"""Every command, for the tests of help and of the documentation."""

COMMANDS = [
    ["demo"],
    ["doctor"],
    ["trace", "run"],
    ["trace", "pytest"],
    ["trace", "show"],
    ["trace", "compare"],
    ["predict"],
    ["data", "build"],
    ["data", "episodes"],
    ["data", "derive"],
    ["data", "peek"],
    ["data", "stats"],
    ["data", "decontaminate"],
    ["data", "tokenizer"],
    ["data", "tokens"],
    ["train"],
    ["serve"],
    ["eval", "run"],
    ["eval", "report"],
]
