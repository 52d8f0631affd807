// Everything that one story needs: certificates, provider, target and a gateway between them.
import { makeCertificates } from './certificates.mjs';
import { freePorts, Gateway } from './gateway.mjs';
import { freshFolder } from './paths.mjs';
import { IdentityProvider } from './provider.mjs';
import { Target } from './target.mjs';

/**
 * `edit` changes the gateway's configuration, `provider` its entry for the identity provider, `client` how the provider knows
 * the gateway, `providerOptions` how the provider itself is made. With `providerRunning: false` the provider is down when the gateway starts.
 */
export async function startWorld({ edit, provider: providerOverrides, client, providerRunning = true, providerOptions = {} } = {}) {
  const certificates = makeCertificates(freshFolder('certificates'));
  const provider = await IdentityProvider.start(certificates, { running: providerRunning, ...providerOptions });
  const target = await Target.start();
  const gateway = new Gateway({
    ...await freePorts(), certificates, targetAddress: target.address, identityProvider: provider.configuration(providerOverrides), edit,
  });
  provider.register(gateway.origin, client);
  const stop = async () => {
    await gateway.stop();
    await provider.down();
    await target.stop();
  };
  try {
    // Without its provider the gateway is alive; whether it calls itself ready is not this helper's business.
    await gateway.start({ probe: providerRunning ? '/readyz' : '/livez' });
  } catch (error) {
    await stop();
    throw error;
  }
  return { certificates, provider, target, gateway, stop };
}
