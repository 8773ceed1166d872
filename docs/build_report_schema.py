"""Writes the JSON schema of the report, `pytest_dspex/reports/report.schema.json`, from the code.

Run it after a change of `pytest_dspex/reports/document.py`; a test holds that the file is up to date.
"""

import json
from pathlib import Path

from pytest_dspex.reports.json_report import schema

TARGET = Path(__file__).parents[1] / "pytest_dspex" / "reports" / "report.schema.json"

if __name__ == "__main__":
    TARGET.write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
