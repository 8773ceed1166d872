"""Answers of scripted LMs that are better the better the prompt is, so that optimizers have something to find."""

import re


def instruction_landscape(request):
    """Right for more texts with more demos, and with an instruction of a higher rule; writes rules if asked for them.

    A row's text is `text N`, and its label `label N % 3`.
    """
    prompt, last = request.messages[0].text, request.messages[-1].text
    if "[[ ## instruction ## ]]" in prompt:
        return {"instruction": f"Rule {request.rollout_id % 6}: the label follows the number."}
    if "[[ ## description ## ]]" in prompt:
        return {"description": "The texts with numbers have three labels."}
    number = int(re.findall(r"text (\d+)", last)[-1])
    if "[[ ## label ## ]]" not in prompt:
        return {"note": f"a note on text {number}"}
    shown = sum(message.role == "user" for message in request.messages) - 1
    rule = int(re.findall(r"Rule (\d)|$", prompt)[0] or 0)
    return {"label": f"label {number % 3}" if number % 12 < 3 + rule + shown else "wrong"}
