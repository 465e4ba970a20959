import { abortError, AthosRoleplayError, CallOver, isErrorCode, networkLost, TakenOver } from "./errors.js";
import {
  CLOSE_CALL_OVER,
  CLOSE_NO_WORKER,
  CLOSE_TAKEN_OVER,
  CLOSE_TICKET_REFUSED,
  parseMessage,
  type ClientMessage,
  type MessageOf,
  type ServerMessage,
} from "./protocol.js";
import { abortable } from "./waiting.js";

const PING_MS = 2_000;
const DEAF_MS = 6_000; // three pings unanswered: TCP would take minutes to say so

/** One WebSocket to the server. It ends once, for one reason, and everything that waits on it rejects with that. */
export class Signalling {
  onMessage: (message: ServerMessage) => void = () => {};
  /** Called once with why, unless we closed it ourselves. */
  onClosed: (reason: Error) => void = () => {};

  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, { resolve: (message: never) => void; reject: (reason: Error) => void }>();
  #reason: Error | undefined;
  #heardAt = performance.now();
  #pings: ReturnType<typeof setInterval> | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(parseMessage(data));
    socket.onclose = ({ code }) => this.#end(reasonOf(code));
  }

  static async open(url: string, signal: AbortSignal): Promise<Signalling> {
    const socket = new WebSocket(url);
    const signalling = new Signalling(socket);
    const opened = new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      signalling.onClosed = reject;
    });
    try {
      await abortable(opened, signal);
      signal.throwIfAborted();
    } catch (cause) {
      signalling.close();
      throw cause;
    }
    signalling.onClosed = () => {};
    signalling.#startPings();
    return signalling;
  }

  get closed(): boolean {
    return this.#reason !== undefined;
  }

  send(message: ClientMessage): void {
    if (!this.closed) this.#socket.send(JSON.stringify(message));
  }

  /** The next message of a type. Ask before you send what it answers. */
  next<Type extends ServerMessage["type"]>(type: Type, signal: AbortSignal): Promise<MessageOf<Type>> {
    const message = new Promise<MessageOf<Type>>((resolve, reject) => {
      if (this.#reason !== undefined) reject(this.#reason);
      else this.#waiting.set(type, { resolve, reject });
    });
    const answer = abortable(message, signal);
    answer.catch(() => {}); // asked for early, awaited later: no report of its own in between
    return answer;
  }

  close(): void {
    this.onClosed = () => {};
    this.#end(abortError());
  }

  #receive(message: ServerMessage | undefined): void {
    if (message === undefined || this.closed) return;
    this.#heardAt = performance.now();
    if (message.type === "ended") return this.#end(new CallOver(message.durationSec));
    if (message.type === "taken_over") return this.#end(new TakenOver());
    if (message.type === "error") return this.#end(errorOf(message));
    const waiting = this.#waiting.get(message.type);
    this.#waiting.delete(message.type);
    waiting?.resolve(message as never);
    this.onMessage(message);
  }

  #startPings(): void {
    this.#pings = setInterval(() => {
      const now = performance.now();
      if (now - this.#heardAt > DEAF_MS) this.#end(networkLost());
      else this.send({ type: "ping", t: Math.round(now) });
    }, PING_MS);
  }

  #end(reason: Error): void {
    if (this.closed) return;
    this.#reason = reason;
    clearInterval(this.#pings);
    this.#socket.close();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
    this.onClosed(reason);
  }
}

function errorOf({ code, message }: MessageOf<"error">): Error {
  if (code === "CALL_NOT_FOUND") return new CallOver();
  return isErrorCode(code) ? new AthosRoleplayError(code, message) : new AthosRoleplayError("INTERNAL_ERROR");
}

function reasonOf(closeCode: number): Error {
  if (closeCode === CLOSE_CALL_OVER) return new CallOver();
  if (closeCode === CLOSE_TAKEN_OVER) return new TakenOver();
  if (closeCode === CLOSE_NO_WORKER) return new AthosRoleplayError("SERVICE_UNAVAILABLE");
  if (closeCode === CLOSE_TICKET_REFUSED) return new AthosRoleplayError("INVALID_TOKEN", "The connection ticket was refused.");
  if (closeCode >= 4400 && closeCode < 4500) return new AthosRoleplayError("INTERNAL_ERROR");
  return networkLost();
}
