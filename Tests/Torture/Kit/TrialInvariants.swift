import BackupCore
import ResticRepository

/// What must hold once a run has ended without being disturbed (`docs/failure-model.md`).
struct TrialInvariants {
    let store: TrialStore
    let model: TrialModel
    /// Where a program's output may go.
    let log: String

    /// Whatever broke: content from each drive alone, the check of each drive, left-overs, drives
    /// that differ. With `restic`, Debian's restic judges each drive too.
    func broken(withRestic: Bool) async -> [String] {
        var broken = await model.verify(store)
        for drive in store.drives {
            broken += await structure(of: drive)
            broken += Self.leftOvers(of: drive, store)
            if withRestic { broken += judged(drive) }
        }
        let first = TrialFiles.tree(store.repository(store.drives[0]))
        for drive in store.drives.dropFirst()
        where TrialFiles.tree(store.repository(drive)) != first {
            broken.append("\(drive) holds other files than \(store.drives[0])")
        }
        return broken
    }

    /// What is wrong with one drive's content, packs that no index names included: the run that
    /// ended adopts them.
    private func structure(of drive: String) async -> [String] {
        do {
            let report = try await StructureCheck(
                backend: try await store.copy(on: drive), masterKey: store.key, readData: true
            ).run()
            if !report.isSound { return ["\(drive): \(report.findings.prefix(2))"] }
            return report.unindexedPackCount == 0
                ? [] : ["\(drive): \(report.unindexedPackCount) packs are in no index"]
        } catch {
            return ["\(drive): cannot be checked: \(TrialReading.text(error))"]
        }
    }

    /// Temporary files and locks.
    static func leftOvers(of drive: String, _ store: TrialStore) -> [String] {
        TrialFiles.tree(store.drive(drive)).keys.filter { path in
            path.contains("-tmp-") || path.contains("/locks/")
        }.map { "\(drive)\($0) is left over" }
    }

    private func judged(_ drive: String) -> [String] {
        do {
            return try TrialRestic.check(store.repository(drive), log: log).map {
                ["\(drive): \($0)"]
            } ?? []
        } catch {
            return ["restic does not start: \(error)"]
        }
    }
}
