"""A byte-level BPE trained by Hugging Face, and conversations rendered by transformers' chat templates.

    fixtures/bpe.json        training texts and settings; vocabulary and merges of `BpeTrainer`; ids of awkward texts
    fixtures/tokenizer.json  that tokenizer, as the library writes it
    fixtures/chat.json       by template: its source, special tokens, and for each conversation the ids of
                             `apply_chat_template`, the ids with a generation prompt for its beginning, and, where the
                             template has generation tags, the assistant mask

The templates are written for this test in the shapes that models use: role markers as special tokens, as text, without a
system role, with BOS, with trimming, with white space control, with a default system message, with generation tags.
"""

import random
import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import common  # noqa: E402

FIXTURES = Path(__file__).resolve().parent / "fixtures"
SPECIALS = ["<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>", "<|header|>", "<|/header|>", "<|eot|>", "[INST]", "[/INST]"]

WORDS = """the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which
one you were all her she there would their we him been has when who will no more if out so said what up its about than into
them can only other time new some could these two may first then do any like my now over such our man me even most made after
also did many off before must well back through years where much your way down should because long each just state those
people too mr how little good world make very year still see own work men day get here old between both life being under
three never know same last another while us might great go come since against right came take used himself few house use
place american away few however student tokens answer question assistant user system numbers 12 345 6789 2023 naïve café
straße 東京 привет мир hello! 😀 👩‍👩‍👧 it's don't we'll they've x=1; y+=2 ()[]{} "quoted" #hash a_b""".split()

AWKWARD = [
    "", " ", "  two  spaces ", "\n", "\n\n\n", "tab\tand\r\nline", "it's DON'T we'Ll", "a\u0085b\u00a0c\u2028d\ufeffe",
    "\u0000\u0001\u007f", "e\u0301 \u0301", "😀😀 👩‍👩‍👧🏳️‍🌈", "東京タワー", "مرحبا ٣٤", "ﬁ Ⅷ ½", "a</s>b <s>",
    "x" * 300, " " * 50 + "end", "1234567890" * 5, "price: 12,345.67 (USD)\t-- ok?", "\U0010ffff\ud7ff\ue000",
]

TEMPLATES = {
    # The template that Camelid ships; the test asserts that this is its text.
    "tulu": """{%- if bos_token is defined and bos_token -%}
{{- bos_token -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message['role'] == 'system' or message['role'] == 'user' -%}
{{- '<|' + message['role'] + '|>\\n' + message['content'] | trim -}}
{%- elif message['role'] == 'assistant' -%}
{{- '<|assistant|>\\n' + message['content'] | trim + eos_token -}}
{%- else -%}
{{- raise_exception('unknown role: ' + message['role']) -}}
{%- endif -%}
{%- if not loop.last or add_generation_prompt -%}
{{- '\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>\\n' -}}
{%- endif -%}
""",
    "chatml": (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    ),
    "default system message": (
        "{%- if messages[0].role != 'system' %}\n    {{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}\n{%- endif %}\n"
        "{%- for message in messages %}\n    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n"
        "{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n"
    ),
    "headers, trimmed, with BOS": (
        "{{- bos_token }}\n{%- for message in messages %}\n"
        "    {%- set turn = '<|header|>' + message['role'] + '<|/header|>\\n\\n' + message['content'] | trim + '<|eot|>' %}\n"
        "    {{- turn }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|header|>assistant<|/header|>\\n\\n' }}\n{%- endif %}"
    ),
    "instruction brackets, system inside the first user turn": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set offset = 1 %}{% else %}{% set offset = 0 %}{% endif %}"
        "{% for message in messages %}{% if message['role'] == 'user' %}{% if loop.index0 == offset and offset == 1 %}"
        "{{ '[INST] ' + messages[0]['content'] + '\\n\\n' + message['content'] + ' [/INST]' }}{% else %}"
        "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endif %}{% elif message['role'] == 'assistant' %}"
        "{{ ' ' + message['content'].strip() + eos_token }}{% endif %}{% endfor %}"
    ),
    "text markers": (
        "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\\n' + message['content'] + eos_token }}\n"
        "{% elif message['role'] == 'system' %}\n{{ '<|system|>\\n' + message['content'] + eos_token }}\n"
        "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\\n' + message['content'] + eos_token }}\n{% endif %}\n"
        "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
    ),
    "generation tags": (
        "{%- for message in messages -%}\n{%- if message.role == 'assistant' -%}\n<|im_start|>assistant\n"
        "{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}\n\n"
        "{%- else -%}\n{{ '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' }}\n{%- endif -%}\n{%- endfor -%}\n"
        "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
    ),
    "generation tags with white space control": (
        "{%- for message in messages %}\n    {%- if message.role == 'assistant' %}\n        {{- '<|im_start|>assistant\\n' }}\n"
        "        {%- generation %}\n        {{- message.content | trim }}\n        {{- '<|im_end|>' }}\n        {%- endgeneration %}\n"
        "    {%- else %}\n        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' }}\n    {%- endif %}\n"
        "    {{- '\\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}"
    ),
    "looks into contents, numbers its turns": (
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.n = ns.n + 1 %}"
        "{{ '(' ~ ns.n ~ ') Q: ' ~ m.content }}{% if '?' not in m.content %}{{ ' ?' }}{% endif %}{{ '\\n' }}"
        "{% elif m.role == 'assistant' %}{{ 'A: ' ~ m.content ~ eos_token ~ '\\n' }}{% else %}{{ m.content ~ '\\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'A: ' }}{% endif %}"
    ),
}


def main() -> None:
    common.fresh_folder(FIXTURES)
    draw = random.Random(7)
    texts = [" ".join(draw.choices(WORDS, k=40)) + draw.choice(["\n", "", "\n\n", "."]) for _ in range(120)]
    tokenizer = train(texts, vocab_size=700)
    tokenizer.save(str(FIXTURES / "tokenizer.json"))
    write_bpe(tokenizer, texts)
    common.write_json(FIXTURES / "chat.json", {name: chat(tokenizer, source, draw) for name, source in TEMPLATES.items()})


def train(texts: list[str], vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_bpe(tokenizer: Tokenizer, texts: list[str]) -> None:
    vocab = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    common.write_json(FIXTURES / "bpe.json", {
        "vocab_size": 700,
        "min_frequency": 2,
        "special_tokens": SPECIALS,
        "texts": texts,
        "vocab": [piece for piece, _ in vocab],
        "encoded": [{"text": text, "ids": tokenizer.encode(text).ids} for text in AWKWARD + texts[:3]],
    })


def chat(tokenizer: Tokenizer, source: str, draw: random.Random) -> dict:
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", chat_template=source,
    )
    rows = []
    for system, turns in [(False, 1), (True, 1), (False, 3), (True, 2)]:
        messages = conversation(draw, system, turns)
        row = {"messages": messages, "ids": ids(fast, messages)}
        if "generation %}" in source:
            marked = fast.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
            row["assistant_mask"] = marked["assistant_masks"]
        row["prompt_ids"] = ids(fast, messages[:-1], add_generation_prompt=True)
        rows.append(row)
    return {"source": source, "rows": rows}


def ids(fast: PreTrainedTokenizerFast, messages: list[dict], **options) -> list[int]:
    return fast.apply_chat_template(messages, tokenize=True, return_dict=True, **options)["input_ids"]


def conversation(draw: random.Random, system: bool, turns: int) -> list[dict]:
    text = lambda: draw.choice(["", " ", "\n"]) + " ".join(draw.choices(WORDS, k=8)) + draw.choice(["", "?", "\n\n", " 😀"])  # noqa: E731
    messages = [{"role": "system", "content": text()}] if system else []
    for _ in range(turns):
        messages += [{"role": "user", "content": text()}, {"role": "assistant", "content": text()}]
    return messages


main()
