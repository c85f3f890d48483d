/** Where the value of a setting comes from, strongest first. */
export const sources = ["flag", "set", "file", "preset", "checkpoint", "default"] as const;
type Source = (typeof sources)[number];

export interface Origin {
  readonly source: Source;
  /** The preset's name, `file:line`, the flag as written, the checkpoint's folder. */
  readonly detail?: string;
}

/** `preset tulu2-7b`, `file run.yaml:3`, `--learning-rate`, `default`. */
export function originText({ source, detail }: Origin): string {
  switch (source) {
    case "flag":
      return detail ?? "flag";
    case "set":
      return detail ?? "--set";
    case "default":
      return "default";
    default:
      return detail === undefined ? source : `${source} ${detail}`;
  }
}

/** A value that some layer gives, and where it stands. */
export interface Entry {
  key: string;
  value: unknown;
  origin: Origin;
}
