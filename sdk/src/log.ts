/** Writes to the console under `debug`. Facts are ids, codes and states: never tokens, tickets or speech. */
export type Log = (message: string, facts?: Record<string, unknown>) => void;

export function makeLog(debug: boolean): Log {
  if (!debug) return () => {};
  return (message, facts) => console.info(`[Athos] ${message}`, ...(facts === undefined ? [] : [facts]));
}
