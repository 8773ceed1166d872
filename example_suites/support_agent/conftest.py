"""An agent that answers customers who ask about an order, and the shop's orders."""

from pathlib import Path
from typing import NamedTuple

from dspex_core import InputField, LabeledFewShot, OutputField, ReAct, Signature, load_dataset
from pytest_dspex import program


class Order(NamedTuple):
    customer: str
    item: str
    status: str


ORDERS = {
    "1187": Order("Ruth Adler", "wool blanket", "returned to us"),
    "1523": Order("Sven Olsen", "tent", "waiting for payment"),
    "2093": Order("Tom Reed", "garden hose", "refunded"),
    "2460": Order("Ines Prado", "camera", "being packed"),
    "2478": Order("Ines Prado", "tripod", "out of stock"),
    "2815": Order("Grace Hill", "bookshelf", "sent on 4 July"),
    "3308": Order("Omar Aziz", "bike helmet", "delivered on 3 May"),
    "3652": Order("Victor Hahn", "drill", "being repaired"),
    "3941": Order("Mia Thorne", "raincoat", "stopped at customs"),
    "4106": Order("Leo Marsh", "piano stool", "being packed"),
    "4417": Order("Anna Berg", "desk lamp", "sent on 9 March"),
    "4733": Order("Yusuf Demir", "backpack", "out of stock"),
    "5061": Order("Paul Stone", "hat", "lost by the carrier"),
    "5390": Order("Clara Voss", "guitar", "waiting for payment"),
    "5397": Order("Clara Voss", "music stand", "sent on 20 June"),
    "5824": Order("Jack Dunn", "toaster", "delivered to a neighbour"),
    "6158": Order("Hana Mori", "vase", "broken on the way"),
    "6572": Order("Emil Frank", "carpet", "sent on 12 April"),
    "6930": Order("Sara Quinn", "pair of skates", "cancelled"),
    "7219": Order("Ben Carter", "fan", "ready to be fetched"),
    "7752": Order("Lena Fox", "tea pot", "waiting for payment"),
    "8045": Order("Zoe Pratt", "mattress", "arriving on Monday"),
    "8366": Order("Ivan Petrov", "chess set", "being engraved"),
    "8501": Order("Alma Rossi", "mixer", "delivered on 30 May"),
    "8874": Order("Noah Webb", "tyre pump", "sent on 6 August"),
    "9126": Order("Nina Costa", "office chair", "being packed"),
    "9439": Order("Dora Lang", "curtains", "refunded"),
    "9446": Order("Dora Lang", "mirror", "arriving on Friday"),
    "9703": Order("Max Kern", "kettle", "returned to us"),
}


def find_orders(customer: str) -> str:
    """Find the orders of a customer."""
    found = [f"order {number} ({order.item})" for number, order in ORDERS.items() if order.customer == customer]
    return ", ".join(found) or f"no customer {customer!r}"


def order_status(order_id: str) -> str:
    """Look up the status of an order."""
    return f"status: {ORDERS[order_id].status}" if order_id in ORDERS else f"no order {order_id!r}"


class Support(Signature):
    """Answer the customer's question about an order."""

    question: str = InputField()
    answer: str = OutputField()


# The training rows are turns: those in which `agent.react` decides on a call, and those in which `agent.extract`
# answers. Each predictor gets the rows that have its fields. Two turns are all that a question takes here.
@program
def support_agent():
    agent = ReAct(Support, tools=[find_orders, order_status], max_iters=2)
    for predictor in agent.predictors():
        predictor.config = {"max_tokens": 120}  # a small model may go on and on
    turns = load_dataset(Path(__file__).parent / "data" / "train.jsonl", inputs=["question", "trajectory"])
    return LabeledFewShot(k=8).compile(agent, trainset=turns)
