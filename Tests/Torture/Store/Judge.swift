import BackupCore
import Drives
import Glibc
import ResticFormat
import ResticRepository

/// Holds the drives against what was promised.
struct Judge: Sendable {
    let lab: Lab

    /// What broke on drives on which nothing ran since the trouble: all that was promised must be
    /// there, each drive by itself.
    func promises() async -> [String] {
        if lab.state.isErasing { return [] }
        return await overDrives { number, copy, broken in
            try await snapshots(number, copy, &broken)
            try await record(number, copy, &broken)
        }
    }

    /// What broke on drives after the next run: the promises, and that all is sound, the same on
    /// every drive, and nothing is left over.
    func everything() async -> [String] {
        if lab.state.isErasing { return erased() }
        return await overDrives { number, copy, broken in
            leftOvers(number, &broken)
            try await snapshots(number, copy, &broken)
            try await record(number, copy, &broken)
            let report = try await StructureCheck(
                backend: copy, masterKey: lab.seed.repository.masterKey, readData: true
            ).run()
            if !report.isSound { broken.append("unsound: \(report.findings.prefix(2))") }
            if report.unindexedPackCount > 0 {
                broken.append("\(report.unindexedPackCount) packs in no index")
            }
            if let percent = lab.state.unusedPercent {
                broken += try await Orphans.more(
                    than: percent, copy, lab.seed.repository.masterKey)
            }
        }
    }

    /// What is left of an owner who was erased, and left over of the erasure.
    private func erased() -> [String] {
        Lab.drives.flatMap { number in
            var broken: [String] = []
            leftOvers(number, &broken)
            let paths = TrialFiles.tree(lab.path(number)).keys
            let owner = TrialStore.owner.rawValue
            broken += paths.filter { $0.contains(owner) }.sorted().prefix(3).map {
                "not erased: \($0)"
            }
            return broken.map { "drive \(number): \($0)" }
        }
    }

    /// What Debian's restic says of the drives.
    func oracle() -> [String] {
        // The rotation's new password is not the one that restic is given.
        guard !lab.state.isRotated, !lab.state.isErasing else { return [] }
        var broken: [String] = []
        for number in Lab.drives {
            let path = lab.path(number) + "/holdfast/repositories/\(TrialStore.owner)"
            do {
                let found = try TrialRestic.check(path, log: lab.folder + "/restic.log")
                if let found { broken.append("drive \(number): \(found)") }
            } catch {
                broken.append("restic does not start: \(error)")
            }
        }
        return broken
    }

    private func overDrives(
        _ body: (Int, DriveBackend, inout [String]) async throws -> Void
    ) async -> [String] {
        var broken: [String] = []
        for number in Lab.drives where lab.state.drives[number].isEnrolled {
            var found: [String] = []
            do {
                let drive = try await Drive.open(
                    path: lab.path(number), expected: BoxSeed.drives[number],
                    options: lab.plainOptions)
                let copy = drive.repository(TrialStore.owner)
                if try await copy.isInitialised() {
                    try await body(number, copy, &found)
                } else if lab.state.drives[number].isInitialised {
                    found.append("its repository is gone")
                }
            } catch {
                found.append(TrialReading.text(error))
            }
            broken += found.map { "drive \(number): \($0)" }
        }
        return broken
    }

    private func snapshots(
        _ number: Int, _ copy: DriveBackend, _ broken: inout [String]
    ) async throws {
        let promised = lab.state.drives[number]
        let holdsFirst = promised.isInitialised && !lab.state.isRotated
        let first = holdsFirst ? lab.seed.repository.keys.map(\.id) : []
        for id in promised.keys.union(first) {
            let bytes = try await copy.read(FileName(.key, id), range: nil, copy: 0)
            if ContentID.sha256(of: bytes) != id { broken.append("a promised key is damaged") }
        }
        guard !promised.snapshots.isEmpty || !promised.forgotten.isEmpty else { return }
        let repository = try await ResticSnapshotRepository.open(
            backend: copy, masterKey: lab.seed.repository.masterKey,
            options: RepositoryOptions(.reading, clock: lab.clock))
        let there = Dictionary(
            uniqueKeysWithValues: try await repository.snapshots().map { ($0.id, $0) })
        for id in promised.forgotten where there[id] != nil {
            broken.append("snapshot \(id.short) came back")
        }
        for (id, files) in promised.snapshots {
            guard let snapshot = there[id] else {
                broken.append("promised snapshot \(id.short) is gone")
                continue
            }
            do {
                let found = try await TrialReading(repository).tree(of: snapshot)
                if let difference = files.difference(from: found) {
                    broken.append("snapshot \(id.short): \(difference)")
                }
            } catch {
                broken.append("snapshot \(id.short): \(TrialReading.text(error))")
            }
        }
    }

    /// The drive's own record and journal.
    private func record(
        _ number: Int, _ copy: DriveBackend, _ broken: inout [String]
    ) async throws {
        let promised = lab.state.drives[number]
        if copy.drive.record.generation < promised.generation {
            broken.append("drive.json went back to an older generation")
        }
        let journal = try await copy.drive.journal.read()
        if !journal.damage.isEmpty { broken.append("journal: \(journal.damage)") }
        if journal.entries.last?.number ?? 0 < promised.journal {
            broken.append("the journal lacks promised records")
        }
    }

    private func leftOvers(_ number: Int, _ broken: inout [String]) {
        for path in TrialFiles.tree(lab.path(number)).keys.sorted()
        where path.contains("-tmp-") || path.contains("/locks/") {
            broken.append("left over: \(path)")
        }
    }
}

/// Bytes of packs that no snapshot needs.
enum Orphans {
    /// Says so when they are more than a share of all bytes.
    static func more(
        than percent: Int, _ copy: DriveBackend, _ key: MasterKey
    ) async throws -> [String] {
        let (bytes, total) = try await count(copy, key)
        guard bytes * 100 > total * UInt64(percent) else { return [] }
        return ["\(bytes) of \(total) bytes belong to no snapshot"]
    }

    private static func count(
        _ copy: DriveBackend, _ key: MasterKey
    ) async throws -> (bytes: UInt64, total: UInt64) {
        let (sealer, codec) = (Sealer(key), ZstdCodec())
        var blobs: [BlobKey: UInt64] = [:]
        var total: UInt64 = 0
        for file in try await copy.list(.index) {
            let bytes = try await copy.read(file.name, range: nil, copy: 0)
            for pack in try IndexCodec.decode(
                UnpackedFile.open(bytes, sealer: sealer, codec: codec))
            {
                for blob in pack.blobs {
                    total += UInt64(blob.length)
                    blobs[blob.key, default: 0] += UInt64(blob.length)
                }
            }
        }
        let repository = try await ResticSnapshotRepository.open(
            backend: copy, masterKey: key,
            options: RepositoryOptions(.reading, clock: TortureClock()))
        var trees = try await repository.snapshots().map(\.tree)
        while let tree = trees.popLast() {
            guard blobs.removeValue(forKey: BlobKey(.tree, tree)) != nil else { continue }
            for node in try await repository.tree(tree) {
                for id in node.content { blobs[BlobKey(.data, id)] = nil }
                if let subtree = node.subtree { trees.append(subtree) }
            }
        }
        return (blobs.values.reduce(0, +), total)
    }
}
