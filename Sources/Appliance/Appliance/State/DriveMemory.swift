package import BackupCore
import ControlAPI

/// What the box remembers of a drive's record, to tell the drive from its clone or an old image.
package struct DriveMemory: Hashable, Sendable {
    package var generation: UInt64
    package var nonce: String

    /// A remembered generation.
    package init(generation: UInt64, nonce: String) {
        self.generation = generation
        self.nonce = nonce
    }
}

extension StateStore {
    /// What is remembered of a drive; nil when nothing is (then any generation is believed).
    package func memory(of drive: DriveID) -> DriveMemory? {
        // A memory that cannot be read is none: it only guards against clones.
        guard let bytes = try? StateFiles.read(root + "/drives/\(drive).json"),
            let json = try? JSONValue.read(bytes),  // as above
            let generation = json["generation"]?.int64, generation >= 0,
            let nonce = json["nonce"]?.text
        else { return nil }
        return DriveMemory(generation: UInt64(generation), nonce: nonce)
    }

    /// Remembers a drive's record.
    package func remember(_ memory: DriveMemory, of drive: DriveID) throws(ApplianceError) {
        try StateFiles.makeFolder(root + "/drives")
        let json: JSONValue = .members([
            "generation": .unsigned(memory.generation), "nonce": .string(memory.nonce),
        ])
        try StateFiles.write(Array((json.line + "\n").utf8), to: root + "/drives/\(drive).json")
    }
}
