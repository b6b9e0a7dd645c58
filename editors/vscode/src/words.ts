const WORD = /(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gs;
const PART = /\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/gs;

/** Words as a shell splits them: `a "b c" 'd'` are three; undefined: a quote is not closed. */
export function words(text: string): string[] | undefined {
  if (text.replace(WORD, "").trim()) return undefined;
  const plain = (_: string, escaped?: string, double?: string, single?: string) => escaped ?? double?.replace(/\\(.)/gs, "$1") ?? single ?? "";
  return (text.match(WORD) ?? []).map((word) => word.replace(PART, plain));
}
