-- A repository of schema 0003, as SkyButler wrote it then: never to be changed.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE annotation (
	dataset_id BLOB NOT NULL, 
	scope TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	type TEXT NOT NULL, 
	number DOUBLE, 
	text TEXT, 
	PRIMARY KEY (dataset_id, scope, "key"), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "annotation" VALUES(X'501A7DCF89DB52DD823DF668F28F0311','header','AIRMASS','float',1.1,NULL);
INSERT INTO "annotation" VALUES(X'501A7DCF89DB52DD823DF668F28F0311','header','OBJECT','str',NULL,'M13');
INSERT INTO "annotation" VALUES(X'501A7DCF89DB52DD823DF668F28F0311','user','checked','bool',1.0,NULL);
INSERT INTO "annotation" VALUES(X'501A7DCF89DB52DD823DF668F28F0311','user','quality','str',NULL,'bad');
INSERT INTO "annotation" VALUES(X'501A7DCF89DB52DD823DF668F28F0311','user','seeing','float',1.25,NULL);
CREATE TABLE attribute (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
INSERT INTO "attribute" VALUES('catalog_version','eecd6957bf484012a572b56e56e13a24');
INSERT INTO "attribute" VALUES('repository_id','9d66b346-e2d1-4452-b608-7ec0cf639cf6');
INSERT INTO "attribute" VALUES('universe','{"version": 1, "namespace": "skybutler", "common_pixels": "htm7", "spatial_families": {"observation": ["visit_detector_region", "visit"], "skymap": ["patch", "tract"]}, "temporal_families": {"observation": ["exposure", "visit", "day_obs"]}, "elements": {"instrument": {"doc": "A camera, and the telescope that it hangs on.", "key": {"name": "str"}, "metadata": {"visit_max": {"type": "int", "doc": "Largest visit number plus one."}, "visit_system": {"type": "int", "doc": "The visit system used where none is named."}, "exposure_max": {"type": "int", "doc": "Largest exposure number plus one."}, "detector_max": {"type": "int", "doc": "Largest detector number plus one."}, "class_name": {"type": "str", "doc": "What describes the instrument (a class or a YAML file)."}}}, "skymap": {"doc": "A division of the sky into tracts and patches.", "key": {"name": "str"}, "alternate": {"hash": {"type": "bytes", "doc": "A digest of the sky map''s definition."}}, "metadata": {"tract_max": {"type": "int", "doc": "Largest tract number plus one."}, "patch_nx_max": {"type": "int", "doc": "Patches in a tract along x."}, "patch_ny_max": {"type": "int", "doc": "Patches in a tract along y."}}}, "band": {"doc": "A filter by its conventional name (g, r, i, \u2026).", "key": {"name": "str"}, "virtual": {"union": "physical_filter"}}, "physical_filter": {"doc": "A filter as it is mounted in one instrument.", "key": {"name": "str"}, "requires": ["instrument"], "implies": ["band"]}, "subfilter": {"doc": "A part of a band, for models that depend on wavelength.", "key": {"id": "int"}, "requires": ["band"]}, "day_obs": {"doc": "An observing day (YYYYMMDD).", "key": {"id": "int"}, "requires": ["instrument"], "timespan": true}, "group": {"doc": "Exposures that belong together.", "key": {"name": "str"}, "requires": ["instrument"]}, "exposure": {"doc": "One readout of the whole camera.", "key": {"id": "int"}, "alternate": {"obs_id": {"type": "str", "doc": "The observatory''s own name for it."}}, "requires": ["instrument"], "implies": ["physical_filter", "day_obs", "group"], "timespan": true, "metadata": {"exposure_time": {"type": "float", "unit": "s", "doc": "Time that the shutter was open."}, "dark_time": {"type": "float", "unit": "s", "doc": "Time that charge was gathered."}, "observation_type": {"type": "str", "doc": "science, bias, dark, flat, \u2026"}, "observation_reason": {"type": "str", "doc": "Why it was taken."}, "seq_num": {"type": "int", "doc": "Running number within the observing day."}, "seq_start": {"type": "int", "doc": "First running number of its group."}, "seq_end": {"type": "int", "doc": "Last running number of its group."}, "target_name": {"type": "str", "doc": "What was pointed at."}, "science_program": {"type": "str", "doc": "The programme that asked for it."}, "tracking_ra": {"type": "float", "unit": "deg", "doc": "Right ascension tracked (ICRS)."}, "tracking_dec": {"type": "float", "unit": "deg", "doc": "Declination tracked (ICRS)."}, "sky_angle": {"type": "float", "unit": "deg", "doc": "Angle of the sky on the focal plane."}, "azimuth": {"type": "float", "unit": "deg", "doc": "Azimuth at mid exposure."}, "zenith_angle": {"type": "float", "unit": "deg", "doc": "Zenith distance at mid exposure."}, "has_simulated": {"type": "bool", "doc": "Whether any part of it was simulated."}, "can_see_sky": {"type": "bool", "doc": "Whether the sky was in view."}}}, "visit_system": {"doc": "A way to group exposures into visits.", "key": {"id": "int"}, "alternate": {"name": {"type": "str", "doc": "Its name."}}, "requires": ["instrument"]}, "visit": {"doc": "One or more exposures of one pointing, processed as one.", "key": {"id": "int"}, "alternate": {"name": {"type": "str", "doc": "Its name."}}, "requires": ["instrument"], "implies": ["physical_filter", "day_obs"], "region": true, "timespan": true, "metadata": {"seq_num": {"type": "int", "doc": "Running number within the observing day."}, "exposure_time": {"type": "float", "unit": "s", "doc": "Summed time that the shutter was open."}, "target_name": {"type": "str", "doc": "What was pointed at."}, "observation_reason": {"type": "str", "doc": "Why it was taken."}, "science_program": {"type": "str", "doc": "The programme that asked for it."}, "azimuth": {"type": "float", "unit": "deg", "doc": "Azimuth at mid exposure."}, "zenith_angle": {"type": "float", "unit": "deg", "doc": "Zenith distance at mid exposure."}}}, "detector": {"doc": "One detector of a camera.", "key": {"id": "int"}, "alternate": {"full_name": {"type": "str", "doc": "Its name in the camera."}}, "requires": ["instrument"], "metadata": {"name_in_raft": {"type": "str", "doc": "Its name in its raft."}, "raft": {"type": "str", "doc": "The raft that holds it."}, "purpose": {"type": "str", "doc": "SCIENCE, GUIDER, WAVEFRONT, \u2026"}}}, "tract": {"doc": "A large tile of a sky map.", "key": {"id": "int"}, "requires": ["skymap"], "region": true}, "patch": {"doc": "A tile of a tract.", "key": {"id": "int"}, "requires": ["skymap", "tract"], "region": true, "metadata": {"cell_x": {"type": "int", "required": true, "doc": "Column in the tract."}, "cell_y": {"type": "int", "required": true, "doc": "Row in the tract."}}}, "visit_detector_region": {"doc": "Where one detector of one visit looks.", "requires": ["instrument", "visit", "detector"], "region": true}, "visit_definition": {"doc": "Which exposures make up a visit.", "requires": ["instrument", "exposure", "visit"], "always_join": true}, "visit_system_membership": {"doc": "Which visits a visit system holds.", "requires": ["instrument", "visit_system", "visit"], "always_join": true}}}');
CREATE TABLE calib_instrument (
	id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	instrument TEXT NOT NULL, 
	dataset_id BLOB NOT NULL, 
	timespan_begin BIGINT NOT NULL, 
	timespan_end BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(instrument) REFERENCES instrument (name), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
CREATE TABLE calib_instrument_detector (
	id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	instrument TEXT NOT NULL, 
	detector BIGINT NOT NULL, 
	dataset_id BLOB NOT NULL, 
	timespan_begin BIGINT NOT NULL, 
	timespan_end BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(instrument, detector) REFERENCES detector (instrument, id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
INSERT INTO "calib_instrument_detector" VALUES(1,4,7,'SmallCam',0,X'768FB73AA0575DBABA1CBEECB46133FD',1735948897000000000,1735948927000000000);
INSERT INTO "calib_instrument_detector" VALUES(2,4,7,'SmallCam',1,X'6C254845855A5569BA93FC65F5BDE318',1735948897000000000,1735948927000000000);
CREATE TABLE calib_instrument_physical_filter_detector (
	id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	instrument TEXT NOT NULL, 
	physical_filter TEXT NOT NULL, 
	detector BIGINT NOT NULL, 
	dataset_id BLOB NOT NULL, 
	timespan_begin BIGINT NOT NULL, 
	timespan_end BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(instrument, physical_filter) REFERENCES physical_filter (instrument, name), 
	FOREIGN KEY(instrument, detector) REFERENCES detector (instrument, id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
CREATE TABLE collection (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	type SMALLINT NOT NULL, 
	doc TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "collection" VALUES(1,'user',1,'What is put without naming a RUN.');
INSERT INTO "collection" VALUES(2,'defaults',3,'What is searched by default.');
INSERT INTO "collection" VALUES(3,'night',1,'Two masters a detector.');
INSERT INTO "collection" VALUES(4,'calib',4,'Still empty.');
INSERT INTO "collection" VALUES(5,'picked',2,'');
INSERT INTO "collection" VALUES(6,'both',3,'');
INSERT INTO "collection" VALUES(7,'certified',4,'What was certified before.');
CREATE TABLE collection_chain (
	parent_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	child_id INTEGER NOT NULL, 
	PRIMARY KEY (parent_id, position), 
	FOREIGN KEY(parent_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(child_id) REFERENCES collection (id)
)
 WITHOUT ROWID

;
INSERT INTO "collection_chain" VALUES(2,0,1);
INSERT INTO "collection_chain" VALUES(6,1,3);
INSERT INTO "collection_chain" VALUES(6,0,4);
CREATE TABLE collection_summary (
	collection_id INTEGER NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	PRIMARY KEY (collection_id, dataset_type_id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "collection_summary" VALUES(3,4);
INSERT INTO "collection_summary" VALUES(3,6);
INSERT INTO "collection_summary" VALUES(3,11);
INSERT INTO "collection_summary" VALUES(3,12);
INSERT INTO "collection_summary" VALUES(7,4);
CREATE TABLE dataset (
	id BLOB NOT NULL, 
	dataset_type_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	ingest_date BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(run_id) REFERENCES collection (id)
)
 WITHOUT ROWID

;
INSERT INTO "dataset" VALUES(X'2D7F9982B8F05339ACED07B64FD6BBA4',12,3,1795382186637718715);
INSERT INTO "dataset" VALUES(X'310B966EE97254C0BFE376DC90670B00',11,3,1795382186637718715);
INSERT INTO "dataset" VALUES(X'501A7DCF89DB52DD823DF668F28F0311',11,3,1795382186637718715);
INSERT INTO "dataset" VALUES(X'6C254845855A5569BA93FC65F5BDE318',4,3,1795382186637718715);
INSERT INTO "dataset" VALUES(X'768FB73AA0575DBABA1CBEECB46133FD',4,3,1795382186637718715);
INSERT INTO "dataset" VALUES(X'816BA4F36C505C09BE4616A7981F2735',6,3,1795382186637718715);
INSERT INTO "dataset" VALUES(X'A6DA3B8DA4D3535CA8DCB608988B3E0E',12,3,1795382186637718715);
INSERT INTO "dataset" VALUES(X'B4A9C79F0B855E72B2D6BC9E0ECB101B',6,3,1795382186637718715);
CREATE TABLE dataset_type (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	dimensions TEXT NOT NULL, 
	storage_class TEXT NOT NULL, 
	is_calibration BOOLEAN NOT NULL, 
	tag_table TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "dataset_type" VALUES(1,'raw','["instrument", "exposure", "detector"]','Exposure',0,'tag_instrument_exposure_detector');
INSERT INTO "dataset_type" VALUES(2,'camera','["instrument"]','Camera',1,'tag_instrument');
INSERT INTO "dataset_type" VALUES(3,'camera_description','["instrument"]','Dict',1,'tag_instrument');
INSERT INTO "dataset_type" VALUES(4,'bias','["instrument", "detector"]','Exposure',1,'tag_instrument_detector');
INSERT INTO "dataset_type" VALUES(5,'dark','["instrument", "detector"]','Exposure',1,'tag_instrument_detector');
INSERT INTO "dataset_type" VALUES(6,'flat','["instrument", "physical_filter", "detector"]','Exposure',1,'tag_instrument_physical_filter_detector');
INSERT INTO "dataset_type" VALUES(7,'postISRCCD','["instrument", "exposure", "detector"]','Exposure',0,'tag_instrument_exposure_detector');
INSERT INTO "dataset_type" VALUES(8,'calexp','["instrument", "visit", "detector"]','Exposure',0,'tag_instrument_visit_detector');
INSERT INTO "dataset_type" VALUES(9,'calexpBackground','["instrument", "visit", "detector"]','Background',0,'tag_instrument_visit_detector');
INSERT INTO "dataset_type" VALUES(10,'src','["instrument", "visit", "detector"]','SourceCatalog',0,'tag_instrument_visit_detector');
INSERT INTO "dataset_type" VALUES(11,'note','["instrument", "visit", "detector"]','Dict',0,'tag_instrument_visit_detector');
INSERT INTO "dataset_type" VALUES(12,'defects','["instrument", "detector"]','Dict',1,'tag_instrument_detector');
CREATE TABLE day_obs (
	instrument TEXT NOT NULL, 
	id BIGINT NOT NULL, 
	timespan_begin BIGINT, 
	timespan_end BIGINT, 
	PRIMARY KEY (instrument, id), 
	FOREIGN KEY(instrument) REFERENCES instrument (name)
)
 WITHOUT ROWID

;
INSERT INTO "day_obs" VALUES('SmallCam',20250103,NULL,NULL);
CREATE TABLE detector (
	instrument TEXT NOT NULL, 
	id BIGINT NOT NULL, 
	full_name TEXT, 
	name_in_raft TEXT, 
	raft TEXT, 
	purpose TEXT, 
	PRIMARY KEY (instrument, id), 
	FOREIGN KEY(instrument) REFERENCES instrument (name), 
	UNIQUE (instrument, full_name)
)
 WITHOUT ROWID

;
INSERT INTO "detector" VALUES('SmallCam',0,'D00',NULL,NULL,NULL);
INSERT INTO "detector" VALUES('SmallCam',1,'D01',NULL,NULL,NULL);
CREATE TABLE exposure (
	instrument TEXT NOT NULL, 
	id BIGINT NOT NULL, 
	obs_id TEXT, 
	physical_filter TEXT, 
	day_obs BIGINT, 
	"group" TEXT, 
	exposure_time DOUBLE, 
	dark_time DOUBLE, 
	observation_type TEXT, 
	observation_reason TEXT, 
	seq_num BIGINT, 
	seq_start BIGINT, 
	seq_end BIGINT, 
	target_name TEXT, 
	science_program TEXT, 
	tracking_ra DOUBLE, 
	tracking_dec DOUBLE, 
	sky_angle DOUBLE, 
	azimuth DOUBLE, 
	zenith_angle DOUBLE, 
	has_simulated BOOLEAN, 
	can_see_sky BOOLEAN, 
	timespan_begin BIGINT, 
	timespan_end BIGINT, 
	PRIMARY KEY (instrument, id), 
	FOREIGN KEY(instrument) REFERENCES instrument (name), 
	UNIQUE (instrument, obs_id), 
	FOREIGN KEY(instrument, physical_filter) REFERENCES physical_filter (instrument, name), 
	FOREIGN KEY(instrument, day_obs) REFERENCES day_obs (instrument, id), 
	FOREIGN KEY(instrument, "group") REFERENCES "group" (instrument, name)
)
 WITHOUT ROWID

;
INSERT INTO "exposure" VALUES('SmallCam',1,'SC-0001','SC-g',20250103,'1',30.0,NULL,'science',NULL,1,NULL,NULL,'field 1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1735948837000000000,1735948867000000000);
INSERT INTO "exposure" VALUES('SmallCam',2,'SC-0002','SC-r',20250103,'2',30.0,NULL,'science',NULL,2,NULL,NULL,'field 2',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,1735948897000000000,1735948927000000000);
CREATE TABLE "group" (
	instrument TEXT NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (instrument, name), 
	FOREIGN KEY(instrument) REFERENCES instrument (name)
)
 WITHOUT ROWID

;
INSERT INTO "group" VALUES('SmallCam','1');
INSERT INTO "group" VALUES('SmallCam','2');
CREATE TABLE instrument (
	name TEXT NOT NULL, 
	visit_max BIGINT, 
	visit_system BIGINT, 
	exposure_max BIGINT, 
	detector_max BIGINT, 
	class_name TEXT, 
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;
INSERT INTO "instrument" VALUES('SmallCam',NULL,NULL,NULL,2,NULL);
CREATE TABLE patch (
	skymap TEXT NOT NULL, 
	tract BIGINT NOT NULL, 
	id BIGINT NOT NULL, 
	cell_x BIGINT NOT NULL, 
	cell_y BIGINT NOT NULL, 
	region TEXT, 
	PRIMARY KEY (skymap, tract, id), 
	FOREIGN KEY(skymap) REFERENCES skymap (name), 
	FOREIGN KEY(skymap, tract) REFERENCES tract (skymap, id)
)
 WITHOUT ROWID

;
CREATE TABLE patch_pixels (
	pixel BIGINT NOT NULL, 
	skymap TEXT NOT NULL, 
	tract BIGINT NOT NULL, 
	patch BIGINT NOT NULL, 
	PRIMARY KEY (pixel, skymap, tract, patch), 
	FOREIGN KEY(skymap, tract, patch) REFERENCES patch (skymap, tract, id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE physical_filter (
	instrument TEXT NOT NULL, 
	name TEXT NOT NULL, 
	band TEXT, 
	PRIMARY KEY (instrument, name), 
	FOREIGN KEY(instrument) REFERENCES instrument (name)
)
 WITHOUT ROWID

;
INSERT INTO "physical_filter" VALUES('SmallCam','SC-g','g');
INSERT INTO "physical_filter" VALUES('SmallCam','SC-r','r');
CREATE TABLE quantum (
	id BLOB NOT NULL, 
	task TEXT NOT NULL, 
	label TEXT NOT NULL, 
	run_id INTEGER NOT NULL, 
	data_id TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	host TEXT NOT NULL, 
	begin_ns BIGINT NOT NULL, 
	end_ns BIGINT NOT NULL, 
	outcome TEXT NOT NULL, 
	versions TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES collection (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE quantum_dataset (
	quantum_id BLOB NOT NULL, 
	is_output BOOLEAN NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (quantum_id, is_output, dataset_id), 
	FOREIGN KEY(quantum_id) REFERENCES quantum (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE skymap (
	name TEXT NOT NULL, 
	hash BLOB, 
	tract_max BIGINT, 
	patch_nx_max BIGINT, 
	patch_ny_max BIGINT, 
	PRIMARY KEY (name), 
	UNIQUE (hash)
)
 WITHOUT ROWID

;
CREATE TABLE stored_file (
	dataset_id BLOB NOT NULL, 
	component TEXT NOT NULL, 
	path TEXT NOT NULL, 
	formatter TEXT NOT NULL, 
	storage_class TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	checksum TEXT, 
	shared BOOLEAN NOT NULL, 
	PRIMARY KEY (dataset_id, component), 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "stored_file" VALUES(X'2D7F9982B8F05339ACED07B64FD6BBA4','','night/defects0.json','json','Dict',2,NULL,0);
INSERT INTO "stored_file" VALUES(X'310B966EE97254C0BFE376DC90670B00','','night/note1.json','json','Dict',2,NULL,0);
INSERT INTO "stored_file" VALUES(X'501A7DCF89DB52DD823DF668F28F0311','','night/note0.json','json','Dict',2,NULL,0);
INSERT INTO "stored_file" VALUES(X'6C254845855A5569BA93FC65F5BDE318','','night/bias1.json','json','Dict',2,NULL,0);
INSERT INTO "stored_file" VALUES(X'768FB73AA0575DBABA1CBEECB46133FD','','night/bias0.json','json','Dict',2,NULL,0);
INSERT INTO "stored_file" VALUES(X'816BA4F36C505C09BE4616A7981F2735','','night/flat0.json','json','Dict',2,NULL,0);
INSERT INTO "stored_file" VALUES(X'A6DA3B8DA4D3535CA8DCB608988B3E0E','','night/defects1.json','json','Dict',2,NULL,0);
INSERT INTO "stored_file" VALUES(X'B4A9C79F0B855E72B2D6BC9E0ECB101B','','night/flat1.json','json','Dict',2,NULL,0);
CREATE TABLE subfilter (
	band TEXT NOT NULL, 
	id BIGINT NOT NULL, 
	PRIMARY KEY (band, id)
)
 WITHOUT ROWID

;
CREATE TABLE tag_instrument (
	dataset_type_id INTEGER NOT NULL, 
	instrument TEXT NOT NULL, 
	collection_id INTEGER NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (dataset_type_id, instrument, collection_id), 
	FOREIGN KEY(instrument) REFERENCES instrument (name), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE tag_instrument_detector (
	dataset_type_id INTEGER NOT NULL, 
	instrument TEXT NOT NULL, 
	detector BIGINT NOT NULL, 
	collection_id INTEGER NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (dataset_type_id, instrument, detector, collection_id), 
	FOREIGN KEY(instrument, detector) REFERENCES detector (instrument, id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "tag_instrument_detector" VALUES(12,'SmallCam',0,3,X'2D7F9982B8F05339ACED07B64FD6BBA4');
INSERT INTO "tag_instrument_detector" VALUES(4,'SmallCam',1,3,X'6C254845855A5569BA93FC65F5BDE318');
INSERT INTO "tag_instrument_detector" VALUES(4,'SmallCam',0,3,X'768FB73AA0575DBABA1CBEECB46133FD');
INSERT INTO "tag_instrument_detector" VALUES(12,'SmallCam',1,3,X'A6DA3B8DA4D3535CA8DCB608988B3E0E');
CREATE TABLE tag_instrument_exposure_detector (
	dataset_type_id INTEGER NOT NULL, 
	instrument TEXT NOT NULL, 
	exposure BIGINT NOT NULL, 
	detector BIGINT NOT NULL, 
	collection_id INTEGER NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (dataset_type_id, instrument, exposure, detector, collection_id), 
	FOREIGN KEY(instrument, exposure) REFERENCES exposure (instrument, id), 
	FOREIGN KEY(instrument, detector) REFERENCES detector (instrument, id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE tag_instrument_physical_filter_detector (
	dataset_type_id INTEGER NOT NULL, 
	instrument TEXT NOT NULL, 
	physical_filter TEXT NOT NULL, 
	detector BIGINT NOT NULL, 
	collection_id INTEGER NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (dataset_type_id, instrument, physical_filter, detector, collection_id), 
	FOREIGN KEY(instrument, physical_filter) REFERENCES physical_filter (instrument, name), 
	FOREIGN KEY(instrument, detector) REFERENCES detector (instrument, id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "tag_instrument_physical_filter_detector" VALUES(6,'SmallCam','SC-g',0,3,X'816BA4F36C505C09BE4616A7981F2735');
INSERT INTO "tag_instrument_physical_filter_detector" VALUES(6,'SmallCam','SC-g',1,3,X'B4A9C79F0B855E72B2D6BC9E0ECB101B');
CREATE TABLE tag_instrument_visit_detector (
	dataset_type_id INTEGER NOT NULL, 
	instrument TEXT NOT NULL, 
	visit BIGINT NOT NULL, 
	detector BIGINT NOT NULL, 
	collection_id INTEGER NOT NULL, 
	dataset_id BLOB NOT NULL, 
	PRIMARY KEY (dataset_type_id, instrument, visit, detector, collection_id), 
	FOREIGN KEY(instrument, visit) REFERENCES visit (instrument, id), 
	FOREIGN KEY(instrument, detector) REFERENCES detector (instrument, id), 
	FOREIGN KEY(dataset_type_id) REFERENCES dataset_type (id), 
	FOREIGN KEY(collection_id) REFERENCES collection (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "tag_instrument_visit_detector" VALUES(11,'SmallCam',1,1,3,X'310B966EE97254C0BFE376DC90670B00');
INSERT INTO "tag_instrument_visit_detector" VALUES(11,'SmallCam',1,0,3,X'501A7DCF89DB52DD823DF668F28F0311');
CREATE TABLE tract (
	skymap TEXT NOT NULL, 
	id BIGINT NOT NULL, 
	region TEXT, 
	PRIMARY KEY (skymap, id), 
	FOREIGN KEY(skymap) REFERENCES skymap (name)
)
 WITHOUT ROWID

;
CREATE TABLE tract_pixels (
	pixel BIGINT NOT NULL, 
	skymap TEXT NOT NULL, 
	tract BIGINT NOT NULL, 
	PRIMARY KEY (pixel, skymap, tract), 
	FOREIGN KEY(skymap, tract) REFERENCES tract (skymap, id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
CREATE TABLE visit (
	instrument TEXT NOT NULL, 
	id BIGINT NOT NULL, 
	name TEXT, 
	physical_filter TEXT, 
	day_obs BIGINT, 
	seq_num BIGINT, 
	exposure_time DOUBLE, 
	target_name TEXT, 
	observation_reason TEXT, 
	science_program TEXT, 
	azimuth DOUBLE, 
	zenith_angle DOUBLE, 
	region TEXT, 
	timespan_begin BIGINT, 
	timespan_end BIGINT, 
	PRIMARY KEY (instrument, id), 
	FOREIGN KEY(instrument) REFERENCES instrument (name), 
	UNIQUE (instrument, name), 
	FOREIGN KEY(instrument, physical_filter) REFERENCES physical_filter (instrument, name), 
	FOREIGN KEY(instrument, day_obs) REFERENCES day_obs (instrument, id)
)
 WITHOUT ROWID

;
INSERT INTO "visit" VALUES('SmallCam',1,'SC-0001','SC-g',20250103,1,30.0,'field 1',NULL,NULL,NULL,NULL,'POLYGON 1.0 -0.05 1.2 -0.05 1.2 0.05 1.0 0.05',1735948837000000000,1735948867000000000);
INSERT INTO "visit" VALUES('SmallCam',2,'SC-0002','SC-r',20250103,2,30.0,'field 2',NULL,NULL,NULL,NULL,'POLYGON 2.0 -0.05 2.2 -0.05 2.2 0.05 2.0 0.05',1735948897000000000,1735948927000000000);
CREATE TABLE visit_definition (
	instrument TEXT NOT NULL, 
	exposure BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	PRIMARY KEY (instrument, exposure, visit), 
	FOREIGN KEY(instrument) REFERENCES instrument (name), 
	FOREIGN KEY(instrument, exposure) REFERENCES exposure (instrument, id), 
	FOREIGN KEY(instrument, visit) REFERENCES visit (instrument, id)
)
 WITHOUT ROWID

;
INSERT INTO "visit_definition" VALUES('SmallCam',1,1);
INSERT INTO "visit_definition" VALUES('SmallCam',2,2);
CREATE TABLE visit_detector_region (
	instrument TEXT NOT NULL, 
	visit BIGINT NOT NULL, 
	detector BIGINT NOT NULL, 
	region TEXT, 
	PRIMARY KEY (instrument, visit, detector), 
	FOREIGN KEY(instrument) REFERENCES instrument (name), 
	FOREIGN KEY(instrument, visit) REFERENCES visit (instrument, id), 
	FOREIGN KEY(instrument, detector) REFERENCES detector (instrument, id)
)
 WITHOUT ROWID

;
INSERT INTO "visit_detector_region" VALUES('SmallCam',1,0,'POLYGON 1.0 -0.05 1.1 -0.05 1.1 0.05 1.0 0.05');
INSERT INTO "visit_detector_region" VALUES('SmallCam',1,1,'POLYGON 1.1 -0.05 1.2 -0.05 1.2 0.05 1.1 0.05');
INSERT INTO "visit_detector_region" VALUES('SmallCam',2,0,'POLYGON 2.0 -0.05 2.1 -0.05 2.1 0.05 2.0 0.05');
INSERT INTO "visit_detector_region" VALUES('SmallCam',2,1,'POLYGON 2.1 -0.05 2.2 -0.05 2.2 0.05 2.1 0.05');
CREATE TABLE visit_detector_region_pixels (
	pixel BIGINT NOT NULL, 
	instrument TEXT NOT NULL, 
	visit BIGINT NOT NULL, 
	detector BIGINT NOT NULL, 
	PRIMARY KEY (pixel, instrument, visit, detector), 
	FOREIGN KEY(instrument, visit, detector) REFERENCES visit_detector_region (instrument, visit, detector) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "visit_detector_region_pixels" VALUES(131074,'SmallCam',1,0);
INSERT INTO "visit_detector_region_pixels" VALUES(253953,'SmallCam',1,0);
INSERT INTO "visit_detector_region_pixels" VALUES(131074,'SmallCam',1,1);
INSERT INTO "visit_detector_region_pixels" VALUES(253953,'SmallCam',1,1);
INSERT INTO "visit_detector_region_pixels" VALUES(131081,'SmallCam',2,0);
INSERT INTO "visit_detector_region_pixels" VALUES(131083,'SmallCam',2,0);
INSERT INTO "visit_detector_region_pixels" VALUES(253958,'SmallCam',2,0);
INSERT INTO "visit_detector_region_pixels" VALUES(253959,'SmallCam',2,0);
INSERT INTO "visit_detector_region_pixels" VALUES(131080,'SmallCam',2,1);
INSERT INTO "visit_detector_region_pixels" VALUES(131081,'SmallCam',2,1);
INSERT INTO "visit_detector_region_pixels" VALUES(131083,'SmallCam',2,1);
INSERT INTO "visit_detector_region_pixels" VALUES(253956,'SmallCam',2,1);
INSERT INTO "visit_detector_region_pixels" VALUES(253958,'SmallCam',2,1);
INSERT INTO "visit_detector_region_pixels" VALUES(253959,'SmallCam',2,1);
CREATE TABLE visit_pixels (
	pixel BIGINT NOT NULL, 
	instrument TEXT NOT NULL, 
	visit BIGINT NOT NULL, 
	PRIMARY KEY (pixel, instrument, visit), 
	FOREIGN KEY(instrument, visit) REFERENCES visit (instrument, id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "visit_pixels" VALUES(131074,'SmallCam',1);
INSERT INTO "visit_pixels" VALUES(253953,'SmallCam',1);
INSERT INTO "visit_pixels" VALUES(131080,'SmallCam',2);
INSERT INTO "visit_pixels" VALUES(131081,'SmallCam',2);
INSERT INTO "visit_pixels" VALUES(131083,'SmallCam',2);
INSERT INTO "visit_pixels" VALUES(253956,'SmallCam',2);
INSERT INTO "visit_pixels" VALUES(253958,'SmallCam',2);
INSERT INTO "visit_pixels" VALUES(253959,'SmallCam',2);
CREATE TABLE visit_system (
	instrument TEXT NOT NULL, 
	id BIGINT NOT NULL, 
	name TEXT, 
	PRIMARY KEY (instrument, id), 
	FOREIGN KEY(instrument) REFERENCES instrument (name), 
	UNIQUE (instrument, name)
)
 WITHOUT ROWID

;
CREATE TABLE visit_system_membership (
	instrument TEXT NOT NULL, 
	visit_system BIGINT NOT NULL, 
	visit BIGINT NOT NULL, 
	PRIMARY KEY (instrument, visit_system, visit), 
	FOREIGN KEY(instrument) REFERENCES instrument (name), 
	FOREIGN KEY(instrument, visit_system) REFERENCES visit_system (instrument, id), 
	FOREIGN KEY(instrument, visit) REFERENCES visit (instrument, id)
)
 WITHOUT ROWID

;
CREATE INDEX ix_collection_chain_child_id ON collection_chain (child_id);
CREATE INDEX dataset_run ON dataset (run_id, dataset_type_id);
CREATE INDEX stored_file_path ON stored_file (path);
CREATE UNIQUE INDEX stored_file_alone ON stored_file (path) WHERE shared = 0;
CREATE INDEX ix_quantum_run_id ON quantum (run_id);
CREATE INDEX ix_quantum_fingerprint ON quantum (fingerprint);
CREATE INDEX ix_quantum_dataset_dataset_id ON quantum_dataset (dataset_id);
CREATE INDEX tract_pixels_key ON tract_pixels (skymap, tract);
CREATE INDEX patch_pixels_key ON patch_pixels (skymap, tract, patch);
CREATE INDEX visit_pixels_key ON visit_pixels (instrument, visit);
CREATE INDEX visit_detector_region_pixels_key ON visit_detector_region_pixels (instrument, visit, detector);
CREATE VIEW v_collections AS SELECT collection.name AS collection, CASE WHEN (collection.type = 1) THEN 'RUN' WHEN (collection.type = 2) THEN 'TAGGED' WHEN (collection.type = 3) THEN 'CHAINED' WHEN (collection.type = 4) THEN 'CALIBRATION' END AS type, collection_chain.position, child.name AS child, collection.doc 
FROM collection LEFT OUTER JOIN collection_chain ON collection_chain.parent_id = collection.id LEFT OUTER JOIN collection AS child ON child.id = collection_chain.child_id;
CREATE VIEW v_datasets AS SELECT substr(lower(hex(dataset.id)), 1, 8) || '-' || substr(lower(hex(dataset.id)), 9, 4) || '-' || substr(lower(hex(dataset.id)), 13, 4) || '-' || substr(lower(hex(dataset.id)), 17, 4) || '-' || substr(lower(hex(dataset.id)), 21, 12) AS dataset_id, dataset_type.name AS dataset_type, collection.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.component, stored_file.path, stored_file.size, stored_file.storage_class, stored_file.formatter, stored_file.checksum 
FROM dataset JOIN dataset_type ON dataset_type.id = dataset.dataset_type_id JOIN collection ON collection.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = dataset.id;
CREATE VIEW v_quanta AS SELECT substr(lower(hex(quantum.id)), 1, 8) || '-' || substr(lower(hex(quantum.id)), 9, 4) || '-' || substr(lower(hex(quantum.id)), 13, 4) || '-' || substr(lower(hex(quantum.id)), 17, 4) || '-' || substr(lower(hex(quantum.id)), 21, 12) AS quantum_id, quantum.label, quantum.task, collection.name AS run, quantum.data_id, quantum.outcome, strftime('%Y-%m-%dT%H:%M:%f', quantum.begin_ns / (1000000000.0 + 0.0), 'unixepoch') AS begin_date, (quantum.end_ns - quantum.begin_ns) / (1000000000.0 + 0.0) AS seconds, quantum.host, quantum.fingerprint, quantum.versions 
FROM quantum JOIN collection ON collection.id = quantum.run_id;
CREATE INDEX tag_instrument_exposure_detector_collection ON tag_instrument_exposure_detector (collection_id, dataset_type_id);
CREATE INDEX tag_instrument_exposure_detector_dataset ON tag_instrument_exposure_detector (dataset_id);
CREATE VIEW v_raw AS SELECT collection.name AS collection, tag_instrument_exposure_detector.instrument, tag_instrument_exposure_detector.exposure, tag_instrument_exposure_detector.detector, substr(lower(hex(tag_instrument_exposure_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument_exposure_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument_exposure_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument_exposure_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument_exposure_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument_exposure_detector JOIN dataset ON dataset.id = tag_instrument_exposure_detector.dataset_id JOIN collection ON collection.id = tag_instrument_exposure_detector.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument_exposure_detector.dataset_id AND stored_file.component = '' 
WHERE tag_instrument_exposure_detector.dataset_type_id = 1;
CREATE INDEX tag_instrument_dataset ON tag_instrument (dataset_id);
CREATE INDEX tag_instrument_collection ON tag_instrument (collection_id, dataset_type_id);
CREATE VIEW v_camera AS SELECT collection.name AS collection, tag_instrument.instrument, substr(lower(hex(tag_instrument.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument JOIN dataset ON dataset.id = tag_instrument.dataset_id JOIN collection ON collection.id = tag_instrument.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument.dataset_id AND stored_file.component = '' 
WHERE tag_instrument.dataset_type_id = 2;
CREATE INDEX calib_instrument_collection ON calib_instrument (collection_id, dataset_type_id);
CREATE INDEX calib_instrument_find ON calib_instrument (dataset_type_id, instrument, collection_id, timespan_begin);
CREATE INDEX calib_instrument_dataset ON calib_instrument (dataset_id);
CREATE VIEW v_camera_description AS SELECT collection.name AS collection, tag_instrument.instrument, substr(lower(hex(tag_instrument.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument JOIN dataset ON dataset.id = tag_instrument.dataset_id JOIN collection ON collection.id = tag_instrument.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument.dataset_id AND stored_file.component = '' 
WHERE tag_instrument.dataset_type_id = 3;
CREATE INDEX tag_instrument_detector_collection ON tag_instrument_detector (collection_id, dataset_type_id);
CREATE INDEX tag_instrument_detector_dataset ON tag_instrument_detector (dataset_id);
CREATE VIEW v_bias AS SELECT collection.name AS collection, tag_instrument_detector.instrument, tag_instrument_detector.detector, substr(lower(hex(tag_instrument_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument_detector JOIN dataset ON dataset.id = tag_instrument_detector.dataset_id JOIN collection ON collection.id = tag_instrument_detector.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument_detector.dataset_id AND stored_file.component = '' 
WHERE tag_instrument_detector.dataset_type_id = 4;
CREATE INDEX calib_instrument_detector_dataset ON calib_instrument_detector (dataset_id);
CREATE INDEX calib_instrument_detector_find ON calib_instrument_detector (dataset_type_id, instrument, detector, collection_id, timespan_begin);
CREATE INDEX calib_instrument_detector_collection ON calib_instrument_detector (collection_id, dataset_type_id);
CREATE VIEW v_dark AS SELECT collection.name AS collection, tag_instrument_detector.instrument, tag_instrument_detector.detector, substr(lower(hex(tag_instrument_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument_detector JOIN dataset ON dataset.id = tag_instrument_detector.dataset_id JOIN collection ON collection.id = tag_instrument_detector.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument_detector.dataset_id AND stored_file.component = '' 
WHERE tag_instrument_detector.dataset_type_id = 5;
CREATE INDEX tag_instrument_physical_filter_detector_dataset ON tag_instrument_physical_filter_detector (dataset_id);
CREATE INDEX tag_instrument_physical_filter_detector_collection ON tag_instrument_physical_filter_detector (collection_id, dataset_type_id);
CREATE VIEW v_flat AS SELECT collection.name AS collection, tag_instrument_physical_filter_detector.instrument, tag_instrument_physical_filter_detector.physical_filter, tag_instrument_physical_filter_detector.detector, substr(lower(hex(tag_instrument_physical_filter_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument_physical_filter_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument_physical_filter_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument_physical_filter_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument_physical_filter_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument_physical_filter_detector JOIN dataset ON dataset.id = tag_instrument_physical_filter_detector.dataset_id JOIN collection ON collection.id = tag_instrument_physical_filter_detector.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument_physical_filter_detector.dataset_id AND stored_file.component = '' 
WHERE tag_instrument_physical_filter_detector.dataset_type_id = 6;
CREATE INDEX calib_instrument_physical_filter_detector_collection ON calib_instrument_physical_filter_detector (collection_id, dataset_type_id);
CREATE INDEX calib_instrument_physical_filter_detector_dataset ON calib_instrument_physical_filter_detector (dataset_id);
CREATE INDEX calib_instrument_physical_filter_detector_find ON calib_instrument_physical_filter_detector (dataset_type_id, instrument, physical_filter, detector, collection_id, timespan_begin);
CREATE VIEW "v_postISRCCD" AS SELECT collection.name AS collection, tag_instrument_exposure_detector.instrument, tag_instrument_exposure_detector.exposure, tag_instrument_exposure_detector.detector, substr(lower(hex(tag_instrument_exposure_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument_exposure_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument_exposure_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument_exposure_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument_exposure_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument_exposure_detector JOIN dataset ON dataset.id = tag_instrument_exposure_detector.dataset_id JOIN collection ON collection.id = tag_instrument_exposure_detector.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument_exposure_detector.dataset_id AND stored_file.component = '' 
WHERE tag_instrument_exposure_detector.dataset_type_id = 7;
CREATE INDEX tag_instrument_visit_detector_collection ON tag_instrument_visit_detector (collection_id, dataset_type_id);
CREATE INDEX tag_instrument_visit_detector_dataset ON tag_instrument_visit_detector (dataset_id);
CREATE VIEW v_calexp AS SELECT collection.name AS collection, tag_instrument_visit_detector.instrument, tag_instrument_visit_detector.visit, tag_instrument_visit_detector.detector, substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument_visit_detector JOIN dataset ON dataset.id = tag_instrument_visit_detector.dataset_id JOIN collection ON collection.id = tag_instrument_visit_detector.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument_visit_detector.dataset_id AND stored_file.component = '' 
WHERE tag_instrument_visit_detector.dataset_type_id = 8;
CREATE VIEW "v_calexpBackground" AS SELECT collection.name AS collection, tag_instrument_visit_detector.instrument, tag_instrument_visit_detector.visit, tag_instrument_visit_detector.detector, substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument_visit_detector JOIN dataset ON dataset.id = tag_instrument_visit_detector.dataset_id JOIN collection ON collection.id = tag_instrument_visit_detector.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument_visit_detector.dataset_id AND stored_file.component = '' 
WHERE tag_instrument_visit_detector.dataset_type_id = 9;
CREATE VIEW v_src AS SELECT collection.name AS collection, tag_instrument_visit_detector.instrument, tag_instrument_visit_detector.visit, tag_instrument_visit_detector.detector, substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument_visit_detector JOIN dataset ON dataset.id = tag_instrument_visit_detector.dataset_id JOIN collection ON collection.id = tag_instrument_visit_detector.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument_visit_detector.dataset_id AND stored_file.component = '' 
WHERE tag_instrument_visit_detector.dataset_type_id = 10;
CREATE VIEW v_note AS SELECT collection.name AS collection, tag_instrument_visit_detector.instrument, tag_instrument_visit_detector.visit, tag_instrument_visit_detector.detector, substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument_visit_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument_visit_detector JOIN dataset ON dataset.id = tag_instrument_visit_detector.dataset_id JOIN collection ON collection.id = tag_instrument_visit_detector.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument_visit_detector.dataset_id AND stored_file.component = '' 
WHERE tag_instrument_visit_detector.dataset_type_id = 11;
CREATE VIEW v_defects AS SELECT collection.name AS collection, tag_instrument_detector.instrument, tag_instrument_detector.detector, substr(lower(hex(tag_instrument_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(tag_instrument_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, strftime('%Y-%m-%dT%H:%M:%f', dataset.ingest_date / (1000000000.0 + 0.0), 'unixepoch') AS ingest_date, stored_file.path, stored_file.size 
FROM tag_instrument_detector JOIN dataset ON dataset.id = tag_instrument_detector.dataset_id JOIN collection ON collection.id = tag_instrument_detector.collection_id JOIN collection AS run ON run.id = dataset.run_id LEFT OUTER JOIN stored_file ON stored_file.dataset_id = tag_instrument_detector.dataset_id AND stored_file.component = '' 
WHERE tag_instrument_detector.dataset_type_id = 12;
CREATE VIEW v_calibrations AS SELECT collection.name AS collection, dataset_type.name AS dataset_type, substr(lower(hex(calib_instrument.dataset_id)), 1, 8) || '-' || substr(lower(hex(calib_instrument.dataset_id)), 9, 4) || '-' || substr(lower(hex(calib_instrument.dataset_id)), 13, 4) || '-' || substr(lower(hex(calib_instrument.dataset_id)), 17, 4) || '-' || substr(lower(hex(calib_instrument.dataset_id)), 21, 12) AS dataset_id, run.name AS run, CASE WHEN (calib_instrument.timespan_begin > -9223372036854775807) THEN strftime('%Y-%m-%dT%H:%M:%f', calib_instrument.timespan_begin / (1000000000.0 + 0.0), 'unixepoch') END AS begin_date, CASE WHEN (calib_instrument.timespan_end < 9223372036854775807) THEN strftime('%Y-%m-%dT%H:%M:%f', calib_instrument.timespan_end / (1000000000.0 + 0.0), 'unixepoch') END AS end_date, json_object('instrument', calib_instrument.instrument) AS data_id 
FROM calib_instrument JOIN dataset ON dataset.id = calib_instrument.dataset_id JOIN collection ON collection.id = calib_instrument.collection_id JOIN dataset_type ON dataset_type.id = calib_instrument.dataset_type_id JOIN collection AS run ON run.id = dataset.run_id UNION ALL SELECT collection.name AS collection, dataset_type.name AS dataset_type, substr(lower(hex(calib_instrument_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(calib_instrument_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(calib_instrument_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(calib_instrument_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(calib_instrument_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, CASE WHEN (calib_instrument_detector.timespan_begin > -9223372036854775807) THEN strftime('%Y-%m-%dT%H:%M:%f', calib_instrument_detector.timespan_begin / (1000000000.0 + 0.0), 'unixepoch') END AS begin_date, CASE WHEN (calib_instrument_detector.timespan_end < 9223372036854775807) THEN strftime('%Y-%m-%dT%H:%M:%f', calib_instrument_detector.timespan_end / (1000000000.0 + 0.0), 'unixepoch') END AS end_date, json_object('instrument', calib_instrument_detector.instrument, 'detector', calib_instrument_detector.detector) AS data_id 
FROM calib_instrument_detector JOIN dataset ON dataset.id = calib_instrument_detector.dataset_id JOIN collection ON collection.id = calib_instrument_detector.collection_id JOIN dataset_type ON dataset_type.id = calib_instrument_detector.dataset_type_id JOIN collection AS run ON run.id = dataset.run_id UNION ALL SELECT collection.name AS collection, dataset_type.name AS dataset_type, substr(lower(hex(calib_instrument_physical_filter_detector.dataset_id)), 1, 8) || '-' || substr(lower(hex(calib_instrument_physical_filter_detector.dataset_id)), 9, 4) || '-' || substr(lower(hex(calib_instrument_physical_filter_detector.dataset_id)), 13, 4) || '-' || substr(lower(hex(calib_instrument_physical_filter_detector.dataset_id)), 17, 4) || '-' || substr(lower(hex(calib_instrument_physical_filter_detector.dataset_id)), 21, 12) AS dataset_id, run.name AS run, CASE WHEN (calib_instrument_physical_filter_detector.timespan_begin > -9223372036854775807) THEN strftime('%Y-%m-%dT%H:%M:%f', calib_instrument_physical_filter_detector.timespan_begin / (1000000000.0 + 0.0), 'unixepoch') END AS begin_date, CASE WHEN (calib_instrument_physical_filter_detector.timespan_end < 9223372036854775807) THEN strftime('%Y-%m-%dT%H:%M:%f', calib_instrument_physical_filter_detector.timespan_end / (1000000000.0 + 0.0), 'unixepoch') END AS end_date, json_object('instrument', calib_instrument_physical_filter_detector.instrument, 'physical_filter', calib_instrument_physical_filter_detector.physical_filter, 'detector', calib_instrument_physical_filter_detector.detector) AS data_id 
FROM calib_instrument_physical_filter_detector JOIN dataset ON dataset.id = calib_instrument_physical_filter_detector.dataset_id JOIN collection ON collection.id = calib_instrument_physical_filter_detector.collection_id JOIN dataset_type ON dataset_type.id = calib_instrument_physical_filter_detector.dataset_type_id JOIN collection AS run ON run.id = dataset.run_id;
CREATE INDEX annotation_number ON annotation (scope, "key", number) WHERE number IS NOT NULL;
CREATE INDEX annotation_text ON annotation (scope, "key", text) WHERE text IS NOT NULL;
CREATE VIEW v_annotations AS SELECT substr(lower(hex(annotation.dataset_id)), 1, 8) || '-' || substr(lower(hex(annotation.dataset_id)), 9, 4) || '-' || substr(lower(hex(annotation.dataset_id)), 13, 4) || '-' || substr(lower(hex(annotation.dataset_id)), 17, 4) || '-' || substr(lower(hex(annotation.dataset_id)), 21, 12) AS dataset_id, dataset_type.name AS dataset_type, collection.name AS run, annotation.scope, annotation."key", annotation.number, annotation.text 
FROM annotation JOIN dataset ON dataset.id = annotation.dataset_id JOIN dataset_type ON dataset_type.id = dataset.dataset_type_id JOIN collection ON collection.id = dataset.run_id;
COMMIT;
