import BackupCore
import Foundation
import ResticFormat

/// A folder with a restic repository in it, and the restic program to judge it.
struct ResticOracle: ~Copyable {
    static var password: String { "a password with ümlaut" }

    let folder: URL
    var repository: URL { folder.appending(path: "repository") }

    /// An empty folder.
    init() throws {
        folder = FileManager.default.temporaryDirectory
            .appending(path: "ResticFormatTests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit {
        // A left-over in the system's temporary folder is no reason to fail a test.
        try? FileManager.default.removeItem(at: folder)
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// What `restic <arguments>` prints; an error when it fails.
    @discardableResult
    func restic(_ arguments: String..., password: String = ResticOracle.password) throws -> Data {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["restic", "--no-cache", "--repo", repository.path] + arguments
        process.environment = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin",
            "RESTIC_PASSWORD": password,
        ]
        process.currentDirectoryURL = folder
        let output = Pipe()
        let errors = folder.appending(path: "errors-\(UUID().uuidString)")
        _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let text = String(decoding: try Data(contentsOf: errors), as: UTF8.self)
            throw Failure(description: "restic \(arguments): \(process.terminationStatus) \(text)")
        }
        return data
    }

    /// Writes `bytes` to the repository's file `path`.
    func store(_ bytes: [UInt8], as path: String) throws {
        let url = repository.appending(path: path)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
    }

    /// The files of a folder of the repository: name and bytes.
    func files(in kind: FileKind) throws -> [(name: String, bytes: [UInt8])] {
        try FileManager.default.contentsOfDirectory(
            at: repository.appending(path: kind.rawValue), includingPropertiesForKeys: nil
        ).map { ($0.lastPathComponent, Array(try Data(contentsOf: $0))) }
    }

    /// The bytes of the repository's file `path`.
    func file(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: repository.appending(path: path)))
    }
}

/// A repository read with nothing but ResticFormat.
struct OpenedRepository {
    let sealer: Sealer
    let codec = ZstdCodec()
    let config: RepositoryConfig
    let packs: [IndexedPack]
    let snapshots: [SnapshotDraft]
    private let packFiles: [ContentID: [UInt8]]
    private let places: [BlobKey: (pack: ContentID, blob: PackedBlob)]

    /// Opens the oracle's repository; everything in it must be readable.
    init(_ oracle: borrowing ResticOracle, password: String = ResticOracle.password) throws {
        var key: MasterKey?
        for file in try oracle.files(in: .key) {
            key = try KeyFile.open(file.bytes, password: password) ?? key
        }
        guard let key else { throw ResticOracle.Failure(description: "no key file opens") }
        let sealer = Sealer(key)
        let codec = codec
        self.sealer = sealer
        config = try ConfigCodec.open(try oracle.file("config"), sealer: sealer)
        packs = try oracle.files(in: .index).flatMap { file in
            try IndexCodec.decode(UnpackedFile.open(file.bytes, sealer: sealer, codec: codec))
        }
        snapshots = try oracle.files(in: .snapshot).map { file in
            try SnapshotCodec.decode(UnpackedFile.open(file.bytes, sealer: sealer, codec: codec))
        }
        var packFiles: [ContentID: [UInt8]] = [:]
        var places: [BlobKey: (pack: ContentID, blob: PackedBlob)] = [:]
        for pack in packs {
            packFiles[pack.id] = try oracle.file(FileName(.data, pack.id).relativePath)
            for blob in pack.blobs { places[blob.key] = (pack.id, blob) }
        }
        self.packFiles = packFiles
        self.places = places
    }

    /// The whole pack file.
    func packFile(_ id: ContentID) -> [UInt8] { packFiles[id] ?? [] }

    /// The bytes of a blob, checked against its id.
    func blob(_ key: BlobKey) throws -> [UInt8] {
        guard let place = places[key], let pack = packFiles[place.pack] else {
            throw ResticOracle.Failure(description: "no blob \(key.id)")
        }
        let start = Int(place.blob.offset)
        var bytes = try sealer.open(Array(pack[start..<start + Int(place.blob.length)]))
        if place.blob.uncompressedLength != nil {
            bytes = try codec.decompress(bytes, limit: place.blob.plainLength)
        }
        guard bytes.count == place.blob.plainLength, ContentID.sha256(of: bytes) == key.id else {
            throw ResticOracle.Failure(description: "blob \(key.id) is not what it should be")
        }
        return bytes
    }

    /// The length of a data blob as the index tells it.
    func length(_ id: ContentID) -> Int? { places[BlobKey(.data, id)]?.blob.plainLength }

    /// The entries of the folder at `path` in the only snapshot.
    func folder(_ path: String...) throws -> (nodes: [TreeNode], json: [UInt8]) {
        guard let snapshot = snapshots.first else {
            throw ResticOracle.Failure(description: "no snapshot")
        }
        var json = try blob(BlobKey(.tree, snapshot.tree))
        for name in path {
            let nodes = try TreeCodec.decode(json)
            guard let tree = nodes.first(where: { $0.name == EntryName(name) })?.subtree else {
                throw ResticOracle.Failure(description: "no folder \(name)")
            }
            json = try blob(BlobKey(.tree, tree))
        }
        return (try TreeCodec.decode(json), json)
    }
}
