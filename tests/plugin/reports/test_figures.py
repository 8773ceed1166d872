"""The figures of a page are made from the cases of a suite."""

from report_documents import a_case, a_suite

from pytest_dspex.reports.figures import figures_of


def test_a_confusion_matrix_has_the_places_of_its_cases():
    labels = [("refund", "refund"), ("delivery", "refund"), ("refund", "refund"), ("delivery", "other")]
    [matrix] = figures_of(a_suite(*(a_case(n, expected=one, got=other) for n, (one, other) in enumerate(labels))))[
        "confusions"
    ]
    assert matrix == {
        "field": "intent",
        "expected": ["delivery", "refund"],
        "got": ["delivery", "refund", "other"],
        "cells": [[[], [1], [3]], [[], [0, 2], []]],
    }
