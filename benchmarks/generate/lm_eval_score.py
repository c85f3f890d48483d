"""lm_eval_score.py MODEL PROMPTS DTYPE: the same items through lm-evaluation-harness."""

import json
import sys
import time

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from result import result


def main(folder, file, dtype):
    with open(file) as text:
        data = json.load(text)
    model = HFLM(pretrained=folder, dtype=dtype, device="cpu", batch_size=16, add_bos_token=True)

    def score(contexts):
        requests = [
            Instance(request_type="loglikelihood", doc={}, arguments=(context, choice), idx=i)
            for context in contexts
            for i, choice in enumerate(data["choices"])
        ]
        return model.loglikelihood(requests, disable_tqdm=True)

    score(data["contexts"][:2])
    started = time.time()
    scores = score(data["contexts"])
    seconds = time.time() - started
    result(
        perSecond=len(data["contexts"]) / seconds,
        meanLogp=sum(logp for logp, _ in scores) / len(scores),
    )


main(*sys.argv[1:])
