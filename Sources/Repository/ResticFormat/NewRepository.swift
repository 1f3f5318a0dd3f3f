package import BackupCore

/// The files a repository begins with.
package struct NewRepository: Sendable {
    /// The bytes of the config file, which is to be written last: with it the repository exists.
    package let config: [UInt8]
    /// The key files, one for each password, in the passwords' order.
    package let keys: [(id: ContentID, bytes: [UInt8])]
    /// The key that all of `keys` hold.
    package let masterKey: MasterKey
    /// The repository's own id, which its config tells too.
    package let id: ContentID

    /// A new repository, opened by each of `passwords`.
    package static func make(
        passwords: [String], hostname: String, created: Timestamp, cost: ScryptCost = .standard
    ) -> NewRepository {
        let masterKey = MasterKey.random()
        let config = RepositoryConfig.random()
        let keys = passwords.map { password in
            KeyFile.make(
                password: password, masterKey: masterKey, hostname: hostname,
                username: "holdfast", created: created, cost: cost)
        }
        return NewRepository(
            config: ConfigCodec.file(config, sealer: Sealer(masterKey)), keys: keys,
            masterKey: masterKey, id: config.id)
    }
}
