// The connection ticket of our call: the right to say that the rep agreed, and to follow the call after its end.
//
// The SDK gets the ticket when it redeems the session token, and shows it to nobody: no integrator needs it.
// So this page, which is served by us, reads along on its own `fetch`. docs/decisions/0010-embed-ticket.md

const REDEEM_PATH = "/api/external/v1/roleplay/session";
const STORE = "athos.call";

/**
 * Calls `onTicket` with the ticket of each call that is redeemed from now on. The SDK hears of the call only
 * after `onTicket` resolved, and not at all when it rejects.
 */
export function watchRedeem(onTicket) {
  const plainFetch = window.fetch.bind(window);
  window.fetch = async (input, init) => {
    const response = await plainFetch(input, init);
    const { pathname } = new URL(input instanceof Request ? input.url : input, location.href);
    if (pathname === REDEEM_PATH && response.ok) {
      const { connectionTicket } = await response.clone().json();
      await onTicket(connectionTicket);
    }
    return response;
  };
}

/** Survives a reload of this tab. A browser may forbid storage in frames; then a reload forgets the call. */
export const kept = {
  get ticket() {
    return attempt(() => sessionStorage.getItem(STORE));
  },
  keep(ticket) {
    attempt(() => sessionStorage.setItem(STORE, ticket));
  },
  forget() {
    attempt(() => sessionStorage.removeItem(STORE));
  },
};

function attempt(act) {
  try {
    return act();
  } catch {
    return null;
  }
}
