/** Waiting that can be called off. Nothing in the SDK waits without a signal or a limit. */

/** Resolves after `ms` milliseconds, or rejects when the signal fires. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout>;
  const slept = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return abortable(slept, signal).finally(() => clearTimeout(timer));
}

/** The promise, or a rejection with the signal's reason as soon as it fires. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Runs `work` for at most `ms` milliseconds; past that its signal fires with `late()` as reason. */
export async function within<T>(
  ms: number,
  signal: AbortSignal,
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { controller: limit, release } = childOf(signal);
  const timer = setTimeout(() => limit.abort(late()), ms);
  try {
    return await abortable(work(limit.signal), limit.signal);
  } finally {
    clearTimeout(timer);
    release();
  }
}

/** A controller that aborts with the signal, or alone. Release it when its work is done. */
export function childOf(signal: AbortSignal): { controller: AbortController; release: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  return { controller, release: () => signal.removeEventListener("abort", abort) };
}
