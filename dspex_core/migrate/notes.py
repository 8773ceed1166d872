"""Notes on names of DSPy: how each differs here, or which other name to use instead. PYTEST_DONT_REWRITE

Keys are names as users write them: `GEPA`, `GEPA(log_dir)` for a parameter, `Module.save` for a method, and
`dspy.propose` for a module and all that is in it. docs/build_parity.py writes them into the docs' matrix.
"""

from __future__ import annotations

_CODE = "The code runs in a sandbox that comes with the package and knows the core of Python; Deno is not needed."
_LOOSE = "Failures are counted for each call; when all attempts fail, the last error is raised instead of `None`."
_UNUSED = "Is accepted and has no effect."

DIFFERENCES = {
    "AdapterParseError": "A reply that was cut off at `max_tokens` is a `TruncatedReplyError` instead.",
    "BestOfN": _LOOSE,
    "BootstrapFewShotWithOptuna": "It chooses a set of demos for each predictor, by a seed, instead of one demo.",
    "BootstrapFewShotWithRandomSearch": "Without a `valset` it holds out half of the trainset, with a warning.",
    "BootstrapRS": "Without a `valset` it holds out half of the trainset, with a warning.",
    "BootstrapFinetune": "It writes the training examples; `submit=True` or a `Provider` of the LM trains as well.",
    "CodeAct": _CODE,
    "CodeInterpreterError": "It is another name of `InterpreterError`.",
    "Embeddings(brute_force_threshold)": "Has no effect: the search is always exact.",
    "Embeddings(cache)": "Has no effect: vectors of models are cached by the embedder.",
    "Evaluate": "A failing example is recorded with its error; `result >= 0.85` compares fractions, not percent.",
    "Evaluate(display_table)": "Shows the table on terminals only.",
    "GEPA": "Without a `valset` half of the trainset is held out.",
    "GEPA(log_dir)": "Holds a journal, not a pickle.",
    "KNN": "It compares vectors by their cosine.",
    "KNNFewShot": "Demos are bootstrapped once, when it compiles, not at each call.",
    "LM(provider)": "A `Provider` of yours trains; without one, `BootstrapFinetune(submit=True)` does.",
    "LM(use_developer_role)": "Is accepted and has no effect: the role `system` is always sent.",
    "MIPROv2": "Without a `valset` it draws 80 % of the trainset by the seed, with a warning.",
    "Module.save(modules_to_serialize)": "Is refused: nothing is pickled.",
    "Module.save(save_program)": "Stores the class's name and the state as JSON instead of a pickle.",
    "MultiChainComparison": "It shows the model the whole reasoning of each attempt, not its first line.",
    "Parallel(straggler_limit)": "Has no effect: nothing is run twice.",
    "ProgramOfThought": _CODE,
    "PythonInterpreter": _CODE,
    "RLM": _CODE,
    "Refine": _LOOSE,
    "TwoStepAdapter": "The program makes the second call, with its retries and its usage.",
    "XMLAdapter": "It asks for JSON between a field's tags, so its prompts are other ones.",
    "configure_cache(disk_size_limit_bytes)": _UNUSED,
    "load(allow_pickle)": "Is accepted, but a pickle is refused all the same.",
    "settings.save": "It writes JSON: numbers, switches, and the LM without its key and address.",
}

INSTEAD = {
    "AlfWorld": "Install the game itself and write a program around it.",
    "AvatarOptimizer": "`GEPA` and `SIMBA` improve programs with tools.",
    "Flex": "Write a module with `forward`.",
    "OldField": "Use `InputField` and `OutputField`.",
    "OldInputField": "Use `InputField`.",
    "OldOutputField": "Use `OutputField`.",
    "Prediction.inputs": "A prediction is not an `Example`; make one of its `toDict()`.",
    "Prediction.labels": "A prediction is not an `Example`; make one of its `toDict()`.",
    "Prediction.with_inputs": "A prediction is not an `Example`; make one of its `toDict()`.",
    "PythonInterpreter(enable_network_access)": "Nothing opens the sandbox: do it in a tool.",
    "PythonInterpreter(enable_read_paths)": "Nothing opens the sandbox: pass data as variables.",
    "PythonInterpreter(enable_write_paths)": "Nothing opens the sandbox: return data instead.",
    "SandboxSerializable": "Give `RLM` inputs of JSON-like data.",
    "__version__": 'Ask `importlib.metadata.version("pytest-dspex")`.',
    "dspy.clients.cache": "`configure_cache` sets the cache up.",
    "dspy.clients.databricks": "Weights are trained by `BootstrapFinetune(submit=True)`.",
    "dspy.clients.openai": "Weights are trained by `BootstrapFinetune(submit=True)`.",
    "dspy.core": "A request's parameters are flat, and its content is text, images, sounds and files.",
    "dspy.datasets.alfworld": "Install the game itself and write a program around it.",
    "dspy.predict.avatar": "Use `ReAct`.",
    "dspy.primitives.sandbox_serializable": "Give `RLM` inputs of JSON-like data.",
    "dspy.propose": "The optimizers have proposers of their own: docs/optimization.md.",
    "dspy.retrievers.databricks_rm": "Call your search server in a function, which may be `settings.rm`.",
    "dspy.retrievers.weaviate_rm": "Call your search server in a function, which may be `settings.rm`.",
    "dspy.teleprompt.grpo": "Weights are not trained by rewards here; `GEPA` improves instructions.",
    "dspy.teleprompt.signature_opt": "Use `COPRO`.",
    "dspy.teleprompt.gepa.instruction_proposal": "Write a function and give it as `instruction_proposer`.",
}

_LM = 'Use `LM("provider/model")`.'
_SEARCH = "Call your search server in a function, which may be `settings.rm`, or use `BM25` or `Embeddings`."
_REWARD = "Use `Refine` or `BestOfN` with a reward."
_TYPED = "`Predict` and `ChainOfThought` take the types of their signature."

REMOVED = {  # by DSPy itself, before the release of the table
    **dict.fromkeys(["OpenAI", "AzureOpenAI", "Claude", "Anthropic", "Cohere", "Google", "GoogleVertexAI"], _LM),
    **dict.fromkeys(["GROQ", "Groq", "Together", "Anyscale", "Mistral", "Databricks", "Watsonx", "Snowflake"], _LM),
    **dict.fromkeys(["HFModel", "HFClientTGI", "HFClientVLLM", "HFServerTGI", "OllamaLocal", "ChatModuleClient"], _LM),
    **dict.fromkeys(["Bedrock", "Sagemaker", "AWSAnthropic", "AWSMistral", "AWSMeta", "CloudflareAI", "You"], _LM),
    **dict.fromkeys(
        ["GPT3", "TensorRTModel", "PremAI", "MultiOpenAI", "CustomLMClient", "LlamaCpp", "LM.basic_request"], _LM
    ),
    **dict.fromkeys(["Assert", "Suggest", "assert_transform_module", "backtrack_handler", "Retry"], _REWARD),
    **dict.fromkeys(["TypedPredictor", "TypedChainOfThought", "functional", "predictor", "cot"], _TYPED),
    **dict.fromkeys(["SignatureOptimizer", "SignatureOptimizerTyped"], "Use `COPRO`."),
    **dict.fromkeys(["MIPRO", "BayesianSignatureOptimizer"], "Use `MIPROv2`."),
    "ChainOfThoughtWithHint": "Give the hint as an input of the signature.",
    "LabeledFewShotWithRandomSearch": "Use `BootstrapFewShotWithRandomSearch`.",
    "TypedPredictorSignature": _TYPED,
    "RetrieveThenRerank": _SEARCH,
    "dspy.functional": _TYPED,
    "dspy.primitives.assertions": _REWARD,
    "dspy.retrieve": _SEARCH,
    "dspy.dsp.modules": _LM,
}
INTERNAL = "It is how DSPy works inside; copy what you need of it into the project."


def note_on(notes: dict[str, str], module: str, name: str) -> str | None:
    """Return the note on a name, or else on the nearest module around it."""
    if name in notes:
        return notes[name]
    while "." in module:
        if module in notes:
            return notes[module]
        module = module.rpartition(".")[0]
    return None
