import Appliance
import BackupCore
import Drives
import Foundation
import ResticFormat

/// A folder with a state folder, a configuration and folders for drives, removed at the end.
final class SetupLab {
    /// Owners that were made, in that order.
    private(set) var owners: [OwnerID] = []
    private let folder: String
    private let state: String

    init(state: String = "state") throws {
        // Resolved, so that paths compare as the system tells them.
        folder =
            FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path + "/holdfast-"
            + UUID().uuidString
        self.state = state
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }  // nothing to do about it

    /// A lab whose setup enrolled `drives`.
    static func with(_ drives: [String]) async throws -> SetupLab {
        let lab = try SetupLab()
        for name in drives { try lab.makeFolder(name) }
        _ = try await lab.setUp(drives)
        return lab
    }

    func path(_ name: String) -> String { folder + "/" + name }

    func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(
            atPath: path(name), withIntermediateDirectories: true)
    }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path(name)))
    }

    /// Every file and folder with its size and last change.
    var files: [String: String] {
        var found: [String: String] = [:]
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String }
        for name in names ?? [] {
            let attributes = try? FileManager.default.attributesOfItem(atPath: path(name))
            let size = attributes?[.size].map { "\($0)" } ?? "none"
            let date = attributes?[.modificationDate].map { "\($0)" } ?? "none"
            found[name] = size + " " + date
        }
        return found
    }

    var configuration: String { text("holdfast.yaml") }

    /// The id in a drive's record.
    func record(_ drive: String) -> String? {
        text(drive + "/holdfast/drive.json").firstMatch(of: /"drive":"([^"]*)"/).map {
            String($0.1)
        }
    }

    func setUp(
        _ drives: [String], words: any WordSource = ListedWords([])
    ) async throws -> SetupReport {
        let surroundings = Surroundings(
            variables: [:], isRoot: false, workingFolder: folder, hostname: "box")
        let options = SetupOptions(
            state: path(state), drives: drives.map(path), file: path("holdfast.yaml"),
            isFileNamed: true)
        return try await SetupJob(options, in: surroundings, words: words).run()
    }

    /// How a setup fails; nil when it does not.
    func failure(_ drives: [String]) async -> Outcome? {
        do {
            _ = try await setUp(drives)
            return nil
        } catch {
            return Outcome(error)
        }
    }

    /// Makes an owner that this box knows, with a repository on `drives`; gives the words.
    @discardableResult
    func giveAnOwner(on drives: [String]) throws -> String {
        guard let owner = OwnerID(rawValue: "owner-\(owners.count)"),
            let secrets = OwnerSecrets.random(), let words = secrets.words
        else { throw CocoaError(.featureUnsupported) }
        let repository = NewRepository.make(
            passwords: [secrets.password, words.canonical], hostname: "box", created: .zero,
            cost: .forTests)
        for drive in drives {
            let root = "\(drive)/holdfast/repositories/\(owner)"
            for name in ["data", "index", "keys", "locks", "snapshots"] {
                try makeFolder(root + "/" + name)
            }
            for key in repository.keys {
                try Data(key.1).write(to: URL(fileURLWithPath: path("\(root)/keys/\(key.0.hex)")))
            }
            try Data(repository.config).write(to: URL(fileURLWithPath: path(root + "/config")))
        }
        let store = StateStore(
            Configuration(
                file: path("holdfast.yaml"), state: path(state), run: path(state) + "/run",
                hostname: "box"))
        try store.remember(OwnerRecord(id: owner, created: .zero))
        try store.remember(
            RepositorySeed(config: repository.config, keys: repository.keys), of: owner)
        try store.remember(secrets, of: owner)
        owners.append(owner)
        return words.canonical
    }

    private func text(_ name: String) -> String {
        FileManager.default.contents(atPath: path(name)).map { String(decoding: $0, as: UTF8.self) }
            ?? ""
    }
}

/// Words that are offered one after the other to each owner.
actor ListedWords: WordSource {
    private let list: [String]
    private var offered: [OwnerID: Int] = [:]

    init(_ list: [String]) { self.list = list }

    func words(for owner: OwnerID, problem: String?) -> String? {
        let next = offered[owner, default: 0]
        offered[owner] = next + 1
        return list.indices.contains(next) ? list[next] : nil
    }
}
