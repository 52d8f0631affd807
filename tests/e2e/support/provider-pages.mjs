// The provider's own pages: sign-in, consent, sign-out. Plain forms, no script.
const escape = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const page = (title, body) => `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">
<title>${escape(title)}</title><h1>${escape(title)}</h1>${body}</html>`;

export const signInPage = (uid, message = '') => page('Provider sign-in', `
<p role="alert">${escape(message)}</p>
<form method="post" action="/interaction/${escape(uid)}">
<label>User <input name="user" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button></form>`);

export const consentPage = (uid, clientId) => page('Provider consent', `
<p>${escape(clientId)} asks who you are.</p>
<form method="post" action="/interaction/${escape(uid)}"><button>Continue</button> <button name="cancel" value="yes">Cancel</button></form>`);

/** `form` comes from the provider with its cross-site request forgery token; the button names it by its id. */
export const signOutPage = (form) => page('Provider sign-out', `${form}
<button form="op.logoutForm" name="logout" value="yes">Sign out at the provider</button>`);

export const signedOutPage = () => page('Signed out at the provider', '');

export const errorPage = (error) => page('Provider error', `<p>${escape(error.error)}: ${escape(error.error_description)}</p>`);
