declare const __ATHOS_API_BASE__: string; // PUBLIC_URL at build time

/** The server that is meant when `apiBase` is not given. */
export const defaultOrigin = { value: __ATHOS_API_BASE__ };
