/**
 * What the published runs of Tulu have in common, and what papers leave to whoever trains. Betas and clipping are not in the first
 * paper; these are the defaults of the code that it names.
 */
export function tuluRun() {
  return {
    onBad: "error" as const,
    preflight: true,
    lora: null,
    quantize: null,
    microBatchSize: 1, // the split is for one GPU
    packing: true,
    maxSteps: null,
    tokenVariant: "B" as const,
    specialTokensInContent: "text" as const,
    endLearningRate: 0,
    schedule: "linear" as const,
    betas: [0.9, 0.95] as [number, number],
    eps: 1e-8,
    weightDecay: 0,
    maxGradNorm: 1,
    optimizer: "adamw" as const,
    optimizerInBackward: false,
    shard: "none" as const,
    precision: "bf16-mixed" as const,
    device: "auto",
    threads: null,
    activationCheckpointing: true,
    activationOffload: false,
    profile: false,
    seed: 42,
    evalData: null,
    heldOutRows: null,
    evalEverySteps: null,
    saveEverySteps: null,
    keepCheckpoints: 2,
  };
}

/** Of models that speak: nothing is asked of them unless the user wants it. */
export function noQuestions() {
  return {
    samplePrompts: null,
    sampleEverySteps: null,
    evalTasks: null,
    evalTasksEverySteps: null,
    evalTasksData: null,
    evalTasksLimit: null,
    evalTasksShots: null,
    evalTasksProfile: "standard" as const,
    evalTasksOptions: null,
    evalTasksJudges: null,
    maxNewTokens: 128,
  };
}

/** Every projection of every layer. */
export const everyProjection = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/** Adapters for one GPU, ours: a rate an order of magnitude above that of full training goes with them. */
export function smallAdapters() {
  return { rank: 16, alpha: 32, dropout: 0, targetModules: everyProjection, rslora: false };
}

/** A few million parameters on a CPU. */
export function onCpu() {
  return { maxSeqLen: 512, gradAccumSteps: 4, precision: "fp32" as const, activationCheckpointing: false };
}
