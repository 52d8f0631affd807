// Two providers on one page: what a person sees, and where each button leads.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, newPerson, signInAtProvider } from './support/browser.mjs';
import { screenshotFile } from './support/paths.mjs';
import { startWorld } from './support/world.mjs';

let browser;
let world;
before(async () => {
  browser = await launchBrowser();
  world = await startWorld({
    edit: (configuration) => {
      const { provider } = configuration.identity_providers;
      provider.display_name = 'Example Corporation';
      const [listener] = configuration.listeners;
      listener.default_actions[0].authenticate = { identity_providers: ['provider', 'other'], scope: 'openid email profile groups' };
      // Another client of the same provider: two buttons, and two redirect URIs.
      configuration.identity_providers.other = { ...provider, display_name: 'Partners & Friends', client_id: 'other' };
      return configuration;
    },
  });
  world.provider.register(world.gateway.origin, {
    redirect_uris: [`${world.gateway.origin}/oauth2/idpresponse/provider`],
  });
  world.provider.register(world.gateway.origin, {
    client_id: 'other', redirect_uris: [`${world.gateway.origin}/oauth2/idpresponse/other`],
  });
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

test('a person chooses, signs in there, and is not asked again until signing out', async () => {
  const { gateway, target } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();
  await page.goto(gateway.url('/reports?y=1'));
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.deepEqual(await page.getByRole('link').allTextContents(), ['Example Corporation', 'Partners & Friends']);
  await page.screenshot({ path: screenshotFile('choose-provider') });

  await page.getByRole('link', { name: 'Partners & Friends' }).click();
  assert.equal(new URL(page.url()).origin, world.provider.issuer);
  await signInAtProvider(page);
  await page.getByRole('heading', { name: 'The application' }).waitFor();
  assert.equal(page.url(), gateway.url('/reports?y=1'));
  const data = JSON.parse(Buffer.from(target.request('/reports?y=1').headers['x-amzn-oidc-data'].split('.')[0], 'base64url'));
  assert.equal(data.client, 'other');

  // The session is gone and the choice is not: straight to the provider, which knows the person.
  await person.clearCookies({ name: /^AWSELB/ });
  await page.goto(gateway.url('/again'));
  await page.getByRole('heading', { name: 'The application' }).waitFor();
  await person.close();
});

for (const [name, options] of Object.entries({
  narrow: { viewport: { width: 320, height: 640 } },
  dark: { colorScheme: 'dark' },
  japanese: { locale: 'ja-JP' },
})) {
  test(`the page to choose from is readable: ${name}`, async () => {
    const person = await newPerson(browser, options);
    const page = await person.newPage();
    await page.goto(world.gateway.url('/'));
    await page.getByRole('link', { name: 'Example Corporation' }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true, 'no sideways scrolling');
    await page.screenshot({ path: screenshotFile(`choose-provider-${name}`) });
    await person.close();
  });
}
