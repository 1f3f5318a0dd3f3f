package import BackupCore

/// What a repository's config file tells.
package struct RepositoryConfig: Hashable, Sendable {
    /// The repository's own id: the same on all drives that mirror it.
    package let id: ContentID
    /// Where its content is cut.
    package let polynomial: Polynomial

    /// A config.
    package init(id: ContentID, polynomial: Polynomial) {
        self.id = id
        self.polynomial = polynomial
    }

    /// The config of a new repository.
    package static func random() -> RepositoryConfig {
        RepositoryConfig(
            id: .sha256(of: secureRandomBytes(ContentID.byteCount)), polynomial: .random())
    }
}

/// The config file: sealed JSON, never compressed.
///
/// Source: restic's design document, "Config".
package enum ConfigCodec {
    /// The format version that is read and written.
    package static var version: UInt64 { 2 }

    /// The JSON of `config`.
    package static func encode(_ config: RepositoryConfig) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("version")
            writer.number(version)
            writer.key("id")
            writer.id(config.id)
            writer.key("chunker_polynomial")
            writer.string(config.polynomial.hex)
        }
        return writer.bytes
    }

    /// The config that `json` tells. `unsupported` for another version of the format,
    /// `malformed` also for a polynomial that restic would refuse.
    package static func decode(_ json: [UInt8]) throws(FormatError) -> RepositoryConfig {
        var version: UInt64?
        var id: ContentID?
        var polynomial: Polynomial?
        var scanner = JSONScanner(json)
        try scanner.readObject { scanner, key throws(FormatError) in
            if scanner.matches(key, "version") {
                version = try scanner.readUnsigned()
            } else if scanner.matches(key, "id") {
                id = try scanner.readID()
            } else if scanner.matches(key, "chunker_polynomial") {
                polynomial = Polynomial(hex: try scanner.readText())
            } else {
                try scanner.skipValue()
            }
        }
        try scanner.finish()
        guard let version else { throw .malformed("a config lacks its version") }
        guard version == Self.version else {
            throw FormatError(.unsupported, "the repository has format version \(version)")
        }
        guard let id, let polynomial else {
            throw .malformed("a config lacks its id or a usable polynomial")
        }
        return RepositoryConfig(id: id, polynomial: polynomial)
    }

    /// The config file of `config`.
    package static func file(_ config: RepositoryConfig, sealer: Sealer) -> [UInt8] {
        sealer.seal(encode(config))
    }

    /// The config in a config file.
    package static func open(
        _ file: [UInt8], sealer: Sealer
    ) throws(FormatError) -> RepositoryConfig {
        try decode(sealer.open(file))
    }
}
