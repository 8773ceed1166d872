"""DSPy's `dspy.utils.langchain_tool`: tools of LangChain. PYTEST_DONT_REWRITE"""

from dspex_core.tools import Tool

__all__ = ["convert_langchain_tool"]

convert_langchain_tool = Tool.from_langchain
