/** The drills of the shipped catalogue that can be practised today; your own drills have keys of their own. */
export const ATHOS_DRILL_KEYS = ["ma-full-sale"] as const;

/** A key of the catalogue, or any other string: editors complete the known ones. */
export type AthosDrillKey = (typeof ATHOS_DRILL_KEYS)[number] | (string & {});
