// The provider's records, kept apart from the provider, so that a new one with new keys knows the old sessions.
export class ProviderStore {
  #records = new Map();
  /** Every authorization code and token ever given out: what no log of the gateway may contain. */
  issued = new Set();

  addClient(metadata) {
    this.#records.set(`Client:${metadata.client_id}`, { payload: metadata, end: Infinity });
  }

  endGrants() {
    for (const key of this.#records.keys()) if (/^(Grant|RefreshToken|AccessToken|Session):/.test(key)) this.#records.delete(key);
  }

  adapter() {
    const records = this.#records;
    const { issued } = this;
    const live = (record) => (record && record.end > Date.now() ? record.payload : undefined);
    return class Adapter {
      constructor(model) {
        this.model = model;
      }

      async upsert(id, payload, expiresIn) {
        if (['AuthorizationCode', 'AccessToken', 'ClientCredentials', 'RefreshToken'].includes(this.model)) issued.add(id);
        records.set(`${this.model}:${id}`, { payload, end: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
      }

      async find(id) {
        return live(records.get(`${this.model}:${id}`));
      }

      async findByUid(uid) {
        return this.#first((payload) => payload.uid === uid);
      }

      async findByUserCode(userCode) {
        return this.#first((payload) => payload.userCode === userCode);
      }

      async consume(id) {
        records.get(`${this.model}:${id}`).payload.consumed = Math.floor(Date.now() / 1000);
      }

      async destroy(id) {
        records.delete(`${this.model}:${id}`);
      }

      async revokeByGrantId(grantId) {
        for (const [key, { payload }] of records) if (payload.grantId === grantId) records.delete(key);
      }

      #first(matches) {
        for (const [key, record] of records) {
          if (key.startsWith(`${this.model}:`) && live(record) && matches(record.payload)) return record.payload;
        }
        return undefined;
      }
    };
  }
}
