package import BackupCore
import BlockingThread
import Glibc

extension Drive {
    /// Opens the drive at `path`. A missing path, a mount point with nothing mounted, or a folder
    /// without `drive.json` is `absent`, and so is a garbled `drive.json` (see
    /// ``openUnidentified(path:options:)``); another drive than `expected`, or one of a newer
    /// layout, is `wrongDrive`. Nothing is written.
    package static func open(
        path: String, expected: DriveID? = nil, options: DriveOptions
    ) async throws(BackendError) -> Drive {
        switch try await look(at: path, options: options) {
        case .drive(let drive):
            guard expected == nil || drive.id == expected else {
                throw BackendError(
                    .wrongDrive, "another drive (\(drive.id)) is connected in its place",
                    drive: expected)
            }
            return drive
        case .unidentified:
            throw BackendError(
                .absent, "drive.json in \(HostileText.escaped(path)) cannot be read",
                drive: expected)
        }
    }

    /// What lies at `path` when its `drive.json` is there but garbled; nil when it is fine.
    package static func openUnidentified(
        path: String, options: DriveOptions
    ) async throws(BackendError) -> UnidentifiedDrive? {
        if case .unidentified(let drive) = try await look(at: path, options: options) {
            drive
        } else {
            nil
        }
    }

    private enum Finding: Sendable {
        case drive(Drive)
        case unidentified(UnidentifiedDrive)
    }

    private static func look(
        at path: String, options: DriveOptions
    ) async throws(BackendError) -> Finding {
        try await DriveThread(options: options).run { (system) throws(BackendError) in
            try lookNow(at: path, system: system, options: options)
        }
    }

    private static func lookNow(
        at path: String, system: DriveSyscalls, options: DriveOptions
    ) throws(BackendError) -> Finding {
        let shown = HostileText.escaped(path)
        let root: Descriptor
        let bytes: [UInt8]?
        do throws(BackendError) {
            root = try system.openFolder(
                PathBytes(folderName), in: try system.openFolder(path: path))
            bytes = try system.readSmallFile(recordName, in: root)
        } catch let error where [ENOENT, ENOTDIR, ELOOP].contains(error.nativeCode) {
            throw system.error(.absent, "there is no enrolled drive at \(shown)")
        }
        guard let bytes else {
            throw system.error(.absent, "there is no enrolled drive at \(shown)")
        }
        switch DriveRecord.read(bytes) {
        case .record(let record):
            return .drive(
                try Drive(path: path, record: record, root: root, options: options))
        case .newer:
            throw system.error(
                .wrongDrive, "the drive at \(shown) was written by a newer version")
        case .garbled:
            return .unidentified(
                UnidentifiedDrive(path: path, root: root, options: options))
        }
    }
}

/// A thread and calls for work before a drive is known, with the same guard against hanging.
struct DriveThread: Sendable {
    let options: DriveOptions
    private let thread = DedicatedThread(name: "drive-open")

    init(options: DriveOptions) { self.options = options }

    /// Runs `body` on a thread that ends with it.
    static func once<Value: Sendable>(
        _ body: @escaping @Sendable () throws(BackendError) -> Value
    ) async throws(BackendError) -> Value {
        try await DedicatedThread(name: "folder-open").run(body)
    }

    /// Runs `body`; `io` when nothing comes back for the stall limit.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (DriveSyscalls) throws(BackendError) -> Value
    ) async throws(BackendError) -> Value {
        let system = DriveSyscalls(fault: options.fault, observer: options.observer)
        let reply = Latch<Result<Value, BackendError>>()
        thread.start {
            do throws(BackendError) {
                reply.fulfil(.success(try body(system)))
            } catch {
                reply.fulfil(.failure(error))
            }
        }
        var seen = system.activity
        while true {
            if let result = await reply.value(within: options.stallLimit, clock: options.clock) {
                return try result.get()
            }
            guard system.activity != seen else {
                throw BackendError(.io, "the drive did not answer in time")
            }
            seen = system.activity
        }
    }
}

/// A drive whose `drive.json` is garbled: it may be recognised by what its repositories' configs
/// open with, and is then given its record back.
package final class UnidentifiedDrive: Sendable {
    private let path: String
    private let root: Descriptor
    private let options: DriveOptions

    init(path: String, root: Descriptor, options: DriveOptions) {
        self.path = path
        self.root = root
        self.options = options
    }

    /// The sealed config of each repository here, by owner. Only who has an owner's key can tell
    /// whether it is theirs.
    package func configs() async throws(BackendError) -> [OwnerID: [UInt8]] {
        let root = root
        return try await DriveThread(options: options).run { (system) throws(BackendError) in
            let repositories: Descriptor
            do throws(BackendError) {
                repositories = try system.openFolder("repositories", in: root)
            } catch let error where error.nativeCode == ENOENT {
                return [:]
            }
            var found: [OwnerID: [UInt8]] = [:]
            for name in try system.names(in: repositories) {
                guard let text = String(validating: name.bytes, as: UTF8.self),
                    let owner = OwnerID(rawValue: text),
                    try system.status(name, in: repositories)?.kind == .directory
                else { continue }
                let folder = try system.openFolder(name, in: repositories)
                found[owner] = try system.readSmallFile("config", in: folder)
            }
            return found
        }
    }

    /// Writes `record` as `drive.json` and opens the drive. Only for a drive that was recognised;
    /// the record should be a new generation of the one the box remembers.
    package func identify(as record: DriveRecord) async throws(BackendError) -> Drive {
        let (path, root, options) = (path, root, options)
        return try await DriveThread(options: options).run { (system) throws(BackendError) in
            let system = system.named(record.drive)
            let drive = try Drive(path: path, record: record, root: root, options: options)
            try drive.verifyPresent()
            try Drive.write(record, to: root, system: system)
            return drive
        }
    }
}
