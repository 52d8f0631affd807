// moto's Amazon Cognito: a user pool with an app client and a person in it, made through AWS's own API.
import { createHmac } from 'node:crypto';
import path from 'node:path';
import { eventually } from './eventually.mjs';
import { request } from './https.mjs';
import { freshFolder, python } from './paths.mjs';
import { freePort, Process } from './processes.mjs';

const REGION = 'eu-west-1';
export const PERSON = { username: 'alice', password: 'Wonderland-1', email: 'alice@example.com', groups: ['staff', 'admins'] };

export class Moto {
  #process;

  static async start() {
    const moto = new Moto();
    const port = await freePort();
    const folder = freshFolder('moto');
    moto.endpoint = `http://127.0.0.1:${port}`;
    moto.#process = new Process(path.join(python, 'python'), [path.join(python, 'moto_server'), '-H', '127.0.0.1', '-p', String(port)],
      { cwd: folder, outputFile: path.join(folder, 'moto.log') });
    await eventually('moto answers', async () => {
      moto.#process.ensureRunning();
      return request(`${moto.endpoint}/moto-api/`).catch(() => undefined);
    }, 30);
    return moto;
  }

  /** A user pool, an app client with a secret as ALB wants it, and a person. */
  async makeUserPool() {
    const { UserPool: { Id: UserPoolId, Arn: arn } } = await this.call('CreateUserPool', { PoolName: 'people' });
    const { UserPoolClient: { ClientId: clientId, ClientSecret: clientSecret } } = await this.call('CreateUserPoolClient', {
      UserPoolId,
      ClientName: 'gateway',
      GenerateSecret: true,
      ReadAttributes: ['email', 'email_verified'],
    });
    const { username: Username, password, email, groups } = PERSON;
    await this.call('AdminCreateUser', {
      UserPoolId, Username, UserAttributes: [{ Name: 'email', Value: email }, { Name: 'email_verified', Value: 'true' }],
    });
    await this.call('AdminSetUserPassword', { UserPoolId, Username, Password: password, Permanent: true });
    for (const GroupName of groups) {
      await this.call('CreateGroup', { UserPoolId, GroupName });
      await this.call('AdminAddUserToGroup', { UserPoolId, Username, GroupName });
    }
    return { id: UserPoolId, arn, clientId, clientSecret };
  }

  /** The tokens that the pool gives its person, with Cognito's claims. */
  async tokens({ id, clientId, clientSecret }) {
    const { AuthenticationResult: { IdToken, AccessToken } } = await this.call('AdminInitiateAuth', {
      UserPoolId: id,
      ClientId: clientId,
      AuthFlow: 'ADMIN_USER_PASSWORD_AUTH',
      AuthParameters: {
        USERNAME: PERSON.username,
        PASSWORD: PERSON.password,
        SECRET_HASH: createHmac('sha256', clientSecret).update(PERSON.username + clientId).digest('base64'),
      },
    });
    return { idToken: IdToken, accessToken: AccessToken };
  }

  async call(operation, input) {
    const answer = await request(this.endpoint, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/x-amz-json-1.1',
        'X-Amz-Target': `AWSCognitoIdentityProviderService.${operation}`,
        // moto reads the region and the service from here; it checks no signature.
        Authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/cognito-idp/aws4_request, SignedHeaders=host, Signature=0`,
      },
      body: JSON.stringify(input),
    });
    if (answer.status !== 200) throw new Error(`${operation}: ${answer.status} ${answer.text}`);
    return answer.json();
  }

  async stop() {
    await this.#process.stop();
  }
}
